#include "cpu/conv.h"
#include <cstring>
#include <optional>
#include "base/parallel.h"
#include "cpu/depthwise.h"
#include "cpu/dnnl.h"
#include "cpu/gemm.h"
#include "cpu/images.h"

namespace fb::cpu {
namespace {

using dnn::Desc;
using Algorithm = dnnl::algorithm;

// ---------------------------------------------------------------- layouts
Desc order_desc(IntSpan sizes, DType t, Order order) {
    using Tag = dnn::Tag;
    static constexpr Tag tags[2][3] = {{Tag::nCw8c, Tag::nChw8c, Tag::nCdhw8c},
                                       {Tag::nCw16c, Tag::nChw16c, Tag::nCdhw16c}};
    if (order == Order::Plain) return dnn::plain_desc(sizes, t);
    if (order == Order::ChannelsLast) {
        Dims strides(sizes.size());
        int64_t step = strides[1] = 1;
        step *= sizes[1];
        for (size_t d = sizes.size(); d-- > 2; step *= sizes[d]) strides[d] = step;
        strides[0] = step;
        return dnn::strided_desc(sizes, strides, t);
    }
    return Desc(dnnl::memory::dims(sizes.begin(), sizes.end()), dnn::type_of(t),
                tags[order == Order::Blocked16][sizes.size() - 3]);
}
std::optional<Order> order_of(const Desc& d, IntSpan sizes, DType t) {
    for (Order o : {Order::Plain, Order::Blocked16, Order::Blocked8, Order::ChannelsLast})
        if (d == order_desc(sizes, t, o)) return o;
    return std::nullopt;
}
Desc any_desc(IntSpan sizes, DType t) {
    return Desc(dnnl::memory::dims(sizes.begin(), sizes.end()), dnn::type_of(t), dnn::Tag::any);
}

// A tensor as it lies: its hidden image, real channels-last strides, or contiguous (a copy if need be).
struct Source {
    Tensor keep;
    const void* data;
    Order order;
};
bool shows_channels_last(const Tensor& t) { return !t.is_contiguous() && is_channels_last(t.sizes(), t.strides()); }
Source source(const Tensor& t) {
    if (const Image* i = hidden_image(t)) return {t, i->data, i->order};
    if (shows_channels_last(t)) return {t, t.data(), Order::ChannelsLast};
    const Tensor d = dense(t);
    return {d, d.data(), Order::Plain};
}
Tensor result_tensor(IntSpan sizes, DType t, Order order, bool channels_last) {
    if (channels_last) return empty_strided(sizes, channels_last_strides(sizes), t);
    return order == Order::Plain ? empty(sizes, t) : make_hidden(sizes, t, order);
}
void* bytes_of(const Tensor& t) {
    const Image* i = hidden_image(t);
    return i ? i->data : t.data();
}

// ---------------------------------------------------------------- oneDNN
enum Pass : int64_t { kForward, kData, kWeights };

// The primitive of one pass with the copies that bring its operands into the layouts it wants.
struct ConvPlan final : dnn::Cached {
    dnn::PlanPtr main;
    dnn::PlanPtr first, second;  // of its two inputs; null where they come as wanted
    Desc first_desc, second_desc;
    dnn::PlanPtr after;  // of dW
    Desc result_desc;
    Order result = Order::Plain;
};

const void* brought(const dnn::PlanPtr& copy, const Desc& wanted, const void* data, std::optional<dnn::Scratch>& room) {
    if (!copy) return data;
    room.emplace(wanted.get_size());
    copy->run({data, room->as()});
    return room->as();
}

// Weights as oneDNN counts them: groups are a dimension of their own.
Dims weight_dims(const ConvShape& s) {
    Dims d = s.weight;
    if (s.groups > 1) {
        d[0] /= s.groups;
        d.insert(0, s.groups);
    }
    return d;
}

struct Maker {
    const ConvShape& s;
    DType type;
    Pass pass;
    bool bias;
    Order given[2];      // how the operands lie: x (or g, or x and g) and g
    bool channels_last;  // wanted for the result

    using dims = dnnl::memory::dims;
    dims stride, dilation, left, right;

    void padding() {
        for (int64_t d = 0; d < s.spatial_dims(); ++d) {
            const size_t i = size_t(d);
            const int64_t reach = s.dilation[i] * (s.weight[i + 2] - 1) + 1;
            stride.push_back(s.stride[i]);
            dilation.push_back(s.dilation[i] - 1);
            left.push_back(s.padding[i]);
            right.push_back((s.out[i + 2] - 1) * s.stride[i] + reach - s.in[i + 2] - s.padding[i]);
        }
    }
    static bool slow(const char* impl) { return std::string_view(impl).find("ref") != std::string_view::npos; }

    std::shared_ptr<dnn::Cached> make() {
        padding();
        // Layout by choice of the library where the operand is not in a good one yet; a few plain channels are best
        // read plain.
        const auto wish = [&](IntSpan sizes, std::optional<Order> has) {
            if (has && (*has != Order::Plain || sizes[1] <= 4)) return order_desc(sizes, type, *has);
            return any_desc(sizes, type);
        };
        const auto fixed = [&](IntSpan sizes, Order o) { return order_desc(sizes, type, o); };
        const bool last = channels_last;
        Desc in, out;
        if (pass == kForward) {
            in = wish(s.in, given[0]);
            out = last ? fixed(s.out, Order::ChannelsLast) : any_desc(s.out, type);
        } else if (pass == kData) {
            in = last ? fixed(s.in, Order::ChannelsLast) : any_desc(s.in, type);
            out = wish(s.out, given[0]);
        } else {
            in = wish(s.in, given[0]);
            out = given[1] == Order::Plain ? any_desc(s.out, type) : fixed(s.out, given[1]);
        }
        if (auto p = attempt(in, out)) return p;
        if (auto p = attempt(any_desc(s.in, type), any_desc(s.out, type))) return p;
        return attempt(fixed(s.in, Order::Plain), fixed(s.out, Order::Plain));
    }

    std::shared_ptr<ConvPlan> attempt(const Desc& in, const Desc& out) {
        const auto& e = dnn::engine();
        const auto a = Algorithm::convolution_direct;
        const Dims wd = weight_dims(s);
        const Desc w = any_desc(wd, type), plain_w = dnn::plain_desc(wd, type);
        const int64_t channels[] = {s.weight[0]};
        const Desc b = dnn::plain_desc(channels, type);
        const auto attr = dnn::user_scratchpad();
        try {
            const auto f =
                bias && pass == kForward
                    ? dnnl::convolution_forward::primitive_desc(e, dnnl::prop_kind::forward_training, a, in, w, b, out,
                                                                stride, dilation, left, right, attr)
                    : dnnl::convolution_forward::primitive_desc(e, dnnl::prop_kind::forward_training, a, in, w, out,
                                                                stride, dilation, left, right, attr);
            auto p = std::make_shared<ConvPlan>();
            using Slots = std::vector<dnn::Plan::Slot>;
            if (pass == kForward) {
                if (slow(f.impl_info_str())) return nullptr;
                Slots slots{
                    {DNNL_ARG_SRC, f.src_desc()}, {DNNL_ARG_WEIGHTS, f.weights_desc()}, {DNNL_ARG_DST, f.dst_desc()}};
                if (bias) slots.push_back({DNNL_ARG_BIAS, b});
                p->main = std::make_shared<dnn::Plan>(dnnl::convolution_forward(f), slots, f.scratchpad_desc());
                return finish(p, s.in, f.src_desc(), plain_w, f.weights_desc(), s.out, f.dst_desc());
            }
            if (pass == kData) {
                const dnnl::convolution_backward_data::primitive_desc d(e, a, in, w, out, stride, dilation, left, right,
                                                                        f, attr);
                if (slow(d.impl_info_str())) return nullptr;
                p->main = std::make_shared<dnn::Plan>(dnnl::convolution_backward_data(d),
                                                      Slots{{DNNL_ARG_DIFF_DST, d.diff_dst_desc()},
                                                            {DNNL_ARG_WEIGHTS, d.weights_desc()},
                                                            {DNNL_ARG_DIFF_SRC, d.diff_src_desc()}},
                                                      d.scratchpad_desc());
                return finish(p, s.out, d.diff_dst_desc(), plain_w, d.weights_desc(), s.in, d.diff_src_desc());
            }
            const auto d = bias ? dnnl::convolution_backward_weights::primitive_desc(e, a, in, w, b, out, stride,
                                                                                     dilation, left, right, f, attr)
                                : dnnl::convolution_backward_weights::primitive_desc(e, a, in, w, out, stride, dilation,
                                                                                     left, right, f, attr);
            if (slow(d.impl_info_str())) return nullptr;
            Slots slots{{DNNL_ARG_SRC, d.src_desc()},
                        {DNNL_ARG_DIFF_DST, d.diff_dst_desc()},
                        {DNNL_ARG_DIFF_WEIGHTS, d.diff_weights_desc()}};
            if (bias) slots.push_back({DNNL_ARG_DIFF_BIAS, b});
            p->main = std::make_shared<dnn::Plan>(dnnl::convolution_backward_weights(d), slots, d.scratchpad_desc());
            p->first_desc = d.src_desc();
            p->second_desc = d.diff_dst_desc();
            p->result_desc = d.diff_weights_desc();
            p->first = copy(fixed_desc(s.in, given[0]), p->first_desc);
            p->second = copy(fixed_desc(s.out, given[1]), p->second_desc);
            p->after = copy(p->result_desc, plain_w);
            return p;
        } catch (const dnnl::error&) {
            return nullptr;  // no implementation for these layouts
        }
    }
    Desc fixed_desc(IntSpan sizes, Order o) const { return order_desc(sizes, type, o); }
    static dnn::PlanPtr copy(const Desc& from, const Desc& to) {
        return from == to ? nullptr : dnn::reorder_plan(from, to);
    }

    std::shared_ptr<ConvPlan> finish(std::shared_ptr<ConvPlan> p, IntSpan source_sizes, const Desc& src,
                                     const Desc& plain_w, const Desc& w, IntSpan result_sizes, const Desc& dst) const {
        const auto order = order_of(dst, result_sizes, type);
        if (!order || (channels_last && *order != Order::ChannelsLast)) return nullptr;
        p->result = *order;
        p->first = copy(order_desc(source_sizes, type, given[0]), src);
        p->first_desc = src;
        p->second = copy(plain_w, w);
        p->second_desc = w;
        return p;
    }
};

std::shared_ptr<ConvPlan> conv_plan(const ConvShape& s, DType type, Pass pass, bool bias, Order a, Order b,
                                    bool channels_last) {
    dnn::Key key(dnn::kConv);
    key.add(int64_t(type) | pass << 8 | int64_t(bias) << 12 | int64_t(a) << 16 | int64_t(b) << 20 |
            int64_t(channels_last) << 24 | s.groups << 32);
    for (const Dims* d : {&s.in, &s.weight, &s.out}) key.add(*d);
    for (const Dims* d : {&s.stride, &s.padding, &s.dilation})
        for (int64_t v : *d) key.add(v);
    return dnn::cached<ConvPlan>(
        key, [&] { return Maker{s, type, pass, bias, {a, b}, channels_last, {}, {}, {}, {}}.make(); });
}

double work(const ConvShape& s) {
    return double(product(s.out)) * double(product(s.weight)) / double(std::max<int64_t>(1, s.weight[0]));
}
constexpr double kLongWork = 1e6;

bool library_type(DType t) { return t == DType::f32 || (t == DType::bf16 && dnn::has_bf16()); }

// ---------------------------------------------------------------- by matrix products, for the other types
// The columns of one sample and group: row (c, k…) holds what that weight meets at every output position.
struct Columns {
    const ConvShape& s;
    int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, k[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, pad[3] = {0, 0, 0},
            dil[3] = {1, 1, 1};
    int64_t channels, rows, positions, in_size;

    explicit Columns(const ConvShape& shape) : s(shape) {
        const size_t n = size_t(s.spatial_dims()), skip = 3 - n;
        for (size_t d = 0; d < n; ++d) {
            in[skip + d] = s.in[d + 2];
            out[skip + d] = s.out[d + 2];
            k[skip + d] = s.weight[d + 2];
            stride[skip + d] = s.stride[d];
            pad[skip + d] = s.padding[d];
            dil[skip + d] = s.dilation[d];
        }
        channels = s.in[1] / s.groups;
        rows = channels * k[0] * k[1] * k[2];
        positions = out[0] * out[1] * out[2];
        in_size = in[0] * in[1] * in[2];
    }
    // f(column element, image index or -1 in the padding)
    template <class T, class F>
    void walk(T* columns, F&& f) const {
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t x = r % k[2], y = r / k[2] % k[1], z = r / (k[2] * k[1]) % k[0], c = r / (k[2] * k[1] * k[0]);
            T* p = columns + r * positions;
            for (int64_t oz = 0; oz < out[0]; ++oz)
                for (int64_t oy = 0; oy < out[1]; ++oy) {
                    const int64_t iz = oz * stride[0] - pad[0] + z * dil[0], iy = oy * stride[1] - pad[1] + y * dil[1];
                    const bool row_inside = iz >= 0 && iz < in[0] && iy >= 0 && iy < in[1];
                    const int64_t row = c * in_size + (iz * in[1] + iy) * in[2];
                    for (int64_t ox = 0; ox < out[2]; ++ox, ++p) {
                        const int64_t ix = ox * stride[2] - pad[2] + x * dil[2];
                        f(*p, row_inside && ix >= 0 && ix < in[2] ? row + ix : -1);
                    }
                }
        }
    }
    template <class T>
    void gather(const T* image, T* columns) const {
        walk(columns, [&](T& to, int64_t i) { to = i < 0 ? T(0) : image[i]; });
    }
    template <class T>
    void scatter(T* columns, T* image) const {
        walk(columns, [&](T& from, int64_t i) {
            if (i >= 0) image[i] = T(image[i] + from);
        });
    }
};

// Runs body(sample, group, columns) with room for the columns. Samples go to threads, unless they add to one result.
template <class T, class F>
void each_group(const ConvShape& s, const Columns& c, bool parallel, F&& body) {
    const auto run = [&](int64_t begin, int64_t end) {
        const dnn::Scratch room(size_t(c.rows * c.positions) * sizeof(T));
        for (int64_t n = begin; n < end; ++n)
            for (int64_t g = 0; g < s.groups; ++g) body(n, g, room.as<T>());
    };
    const bool many = parallel && work(s) > 1e5 && !std::is_same_v<T, double>;  // BLAS has threads of its own
    if (many) parallel_for(s.in[0], 1, run);
    else run(0, s.in[0]);
}

template <class T>
void forward_loops(const ConvShape& s, const T* x, const T* w, const T* bias, T* out) {
    const Columns c(s);
    const int64_t o = s.weight[0] / s.groups;
    constexpr DType type = dtype_of<T>::value;
    each_group<T>(s, c, true, [&](int64_t n, int64_t g, T* columns) {
        c.gather(x + (n * s.in[1] + g * c.channels) * c.in_size, columns);
        T* to = out + (n * s.weight[0] + g * o) * c.positions;
        if (bias)
            for (int64_t i = 0; i < o; ++i) std::fill_n(to + i * c.positions, c.positions, bias[g * o + i]);
        gemm(type, o, c.positions, c.rows, 1, {w + g * o * c.rows, c.rows, 1}, {columns, c.positions, 1}, bias ? 1 : 0,
             to, c.positions);
    });
}
template <class T>
void data_loops(const ConvShape& s, const T* grad, const T* w, T* dx) {
    const Columns c(s);
    const int64_t o = s.weight[0] / s.groups;
    std::fill_n(dx, product(s.in), T(0));
    each_group<T>(s, c, true, [&](int64_t n, int64_t g, T* columns) {
        gemm(dtype_of<T>::value, c.rows, c.positions, o, 1, {w + g * o * c.rows, 1, c.rows},
             {grad + (n * s.weight[0] + g * o) * c.positions, c.positions, 1}, 0, columns, c.positions);
        c.scatter(columns, dx + (n * s.in[1] + g * c.channels) * c.in_size);
    });
}
template <class T>
void weight_loops(const ConvShape& s, const T* x, const T* grad, T* dw, T* db) {
    const Columns c(s);
    const int64_t o = s.weight[0] / s.groups;
    std::fill_n(dw, product(s.weight), T(0));
    each_group<T>(s, c, false, [&](int64_t n, int64_t g, T* columns) {
        c.gather(x + (n * s.in[1] + g * c.channels) * c.in_size, columns);
        gemm(dtype_of<T>::value, o, c.rows, c.positions, 1,
             {grad + (n * s.weight[0] + g * o) * c.positions, c.positions, 1}, {columns, 1, c.positions}, 1,
             dw + g * o * c.rows, c.rows);
    });
    if (!db) return;
    for (int64_t i = 0; i < s.weight[0]; ++i) {
        T sum = T(0);
        for (int64_t n = 0; n < s.in[0]; ++n)
            for (int64_t p = 0; p < c.positions; ++p) sum = T(sum + grad[(n * s.weight[0] + i) * c.positions + p]);
        db[i] = sum;
    }
}

template <class F>
void visit_type(DType t, F&& f) {
    visit_dtype(t, [&]<class T>(T v) {
        if constexpr (std::is_same_v<T, bool>)
            fail(ErrorKind::NotImplemented, "\"slow_conv2d_cpu\" not implemented for 'Bool'");
        else f(v);
    });
}
Tensor as_channels_last(const Tensor& t) {
    const Tensor r = empty_strided(t.sizes(), channels_last_strides(t.sizes()), t.dtype());
    copy_data(r, t);
    return r;
}
bool half_without_library(DType t) { return is_low_precision(t); }

}  // namespace

Tensor conv_forward(const ConvShape& s, const Tensor& x, const Tensor& weight, const Tensor& bias, bool channels_last) {
    const DType t = x.dtype();
    const Tensor w = dense(weight), b = bias.defined() ? dense(bias) : bias;
    if (library_type(t)) {
        const Source src = source(x);
        if (const auto p = conv_plan(s, t, kForward, b.defined(), src.order, Order::Plain, channels_last)) {
            const Tensor r = result_tensor(s.out, t, p->result, channels_last);
            const LongWork unlocked(work(s) > kLongWork);
            std::optional<dnn::Scratch> room_x, room_w;
            const void* data = brought(p->first, p->first_desc, src.data, room_x);
            const void* wd = brought(p->second, p->second_desc, w.data(), room_w);
            if (b.defined()) p->main->run({data, wd, bytes_of(r), b.data()});
            else p->main->run({data, wd, bytes_of(r)});
            return r;
        }
    }
    if (half_without_library(t)) {
        const Tensor r = conv_forward(s, convert(x, DType::f32), convert(w, DType::f32),
                                      b.defined() ? convert(b, DType::f32) : b, channels_last);
        return convert(r, t);
    }
    const Tensor dx = dense(x), r = empty(s.out, t);
    visit_type(t, [&]<class T>(T) {
        forward_loops<T>(s, dx.data<T>(), w.data<T>(), b.defined() ? b.data<T>() : nullptr, r.data<T>());
    });
    return channels_last ? as_channels_last(r) : r;
}

// With stride 1 the data gradient is a convolution with the mirrored filters, where the padding allows it.
static bool mirrors(const ConvShape& s) {
    for (int64_t d = 0; d < s.spatial_dims(); ++d) {
        const size_t i = size_t(d);
        if (s.stride[i] != 1 || s.dilation[i] * (s.weight[i + 2] - 1) < s.padding[i]) return false;
    }
    return true;
}
static Tensor mirrored_depthwise(const ConvShape& s, const Tensor& g, const Tensor& weight) {
    ConvShape m{s.out, s.weight, s.in, s.stride, s.padding, s.dilation, s.groups};
    for (size_t i = 0; i < m.padding.size(); ++i) m.padding[i] = s.dilation[i] * (s.weight[i + 2] - 1) - s.padding[i];
    const Tensor w = dense(weight), flipped = empty(s.weight, DType::f32);
    const int64_t taps = product(IntSpan(s.weight).subspan(2));
    for (int64_t c = 0; c < s.groups; ++c)
        std::reverse_copy(w.data<float>() + c * taps, w.data<float>() + (c + 1) * taps,
                          flipped.data<float>() + c * taps);
    return conv_forward(m, g, flipped, Tensor(), false);
}

Tensor conv_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& weight, bool channels_last) {
    const DType t = g.dtype();
    if (is_depthwise(s, t, channels_last))
        return mirrors(s) ? mirrored_depthwise(s, g, weight) : depthwise_data_gradient(s, g, weight);
    const Tensor w = dense(weight);
    if (library_type(t)) {
        const Source src = source(g);
        if (const auto p = conv_plan(s, t, kData, false, src.order, Order::Plain, channels_last)) {
            const Tensor r = result_tensor(s.in, t, p->result, channels_last);
            const LongWork unlocked(work(s) > kLongWork);
            std::optional<dnn::Scratch> room_g, room_w;
            const void* data = brought(p->first, p->first_desc, src.data, room_g);
            p->main->run({data, brought(p->second, p->second_desc, w.data(), room_w), bytes_of(r)});
            return r;
        }
    }
    if (half_without_library(t))
        return convert(conv_data_gradient(s, convert(g, DType::f32), convert(w, DType::f32), channels_last), t);
    const Tensor dg = dense(g), r = empty(s.in, t);
    visit_type(t, [&]<class T>(T) { data_loops<T>(s, dg.data<T>(), w.data<T>(), r.data<T>()); });
    return channels_last ? as_channels_last(r) : r;
}

Tensor conv_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias) {
    const DType t = x.dtype();
    const int64_t channels[] = {s.weight[0]};
    if (is_depthwise(s, t, shows_channels_last(x) || shows_channels_last(g)))
        return depthwise_weight_gradient(s, x, g, bias);
    if (library_type(t)) {
        const Tensor both[] = {x, g};
        settle_views(both);
        const Source a = source(x), b = source(g);
        if (const auto p = conv_plan(s, t, kWeights, bias, a.order, b.order, false)) {
            const Tensor r = empty(s.weight, t);
            if (bias) *bias = empty(channels, t);
            const LongWork unlocked(work(s) > kLongWork);
            std::optional<dnn::Scratch> room_a, room_b, room_w;
            if (p->after) room_w.emplace(p->result_desc.get_size());
            void* dw = p->after ? room_w->as() : r.data();
            const void* da = brought(p->first, p->first_desc, a.data, room_a);
            const void* dg = brought(p->second, p->second_desc, b.data, room_b);
            if (bias) p->main->run({da, dg, dw, bias->data()});
            else p->main->run({da, dg, dw});
            if (p->after) p->after->run({dw, r.data()});
            return r;
        }
    }
    if (half_without_library(t)) {
        const Tensor r = convert(conv_weight_gradient(s, convert(x, DType::f32), convert(g, DType::f32), bias), t);
        if (bias) *bias = convert(*bias, t);
        return r;
    }
    const Tensor dx = dense(x), dg = dense(g), r = empty(s.weight, t);
    if (bias) *bias = empty(channels, t);
    visit_type(t, [&]<class T>(T) {
        weight_loops<T>(s, dx.data<T>(), dg.data<T>(), r.data<T>(), bias ? bias->data<T>() : nullptr);
    });
    return r;
}

}  // namespace fb::cpu
