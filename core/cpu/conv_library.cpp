// Convolutions by oneDNN, on whatever layout it likes best: see docs/design/hidden-layouts.md.
#include <cstring>
#include <optional>
#include "base/parallel.h"
#include "cpu/conv_ways.h"
#include "cpu/dnnl.h"
#include "cpu/images.h"
#include "cpu/packed.h"

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
Source source(const Tensor& t) {
    if (const Image* i = hidden_image(t)) return {pinned(t), i->data, i->order};
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
    size_t bytes() const override {
        size_t n = sizeof(*this);
        for (const auto* p : {&main, &first, &second, &after})
            if (*p) n += (*p)->bytes();
        return n;
    }
};

const void* brought(const dnn::PlanPtr& copy, const Desc& wanted, const Source& from,
                    std::optional<dnn::Scratch>& room) {
    if (!copy) return from.data;
    count_hidden();
    room.emplace(wanted.get_size());
    copy->run({from.data, room->as()});
    return room->as();
}
// Weights as the primitive wants them; `hold` keeps what it points to.
const void* packed(const ConvPlan& p, const Tensor& w, Packed& hold) {
    if (!p.second) return w.data();
    hold =
        packed_weight(w, p.second_desc, 0, p.second_desc.get_size(), [&](void* to) { p.second->run({w.data(), to}); });
    return hold->as();
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
    bool scaled;         // what comes out is multiplied and added to by channel
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
    // Its products over columns scale one number after the other, ten times slower than they multiply.
    static bool slow_to_scale(const char* impl) {
        return std::string_view(impl).find("gemm") != std::string_view::npos;
    }

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
        auto attr = dnn::user_scratchpad();
        Dims per_channel(s.out.size(), 1);
        per_channel[1] = s.out[1];
        const Desc factors = dnn::plain_desc(per_channel, DType::f32);
        if (scaled) {
            dnnl::post_ops after;
            after.append_binary(Algorithm::binary_mul, factors);
            after.append_binary(Algorithm::binary_add, factors);
            attr.set_post_ops(after);
        }
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
                if (slow(f.impl_info_str()) || (scaled && slow_to_scale(f.impl_info_str()))) return nullptr;
                Slots slots{
                    {DNNL_ARG_SRC, f.src_desc()}, {DNNL_ARG_WEIGHTS, f.weights_desc()}, {DNNL_ARG_DST, f.dst_desc()}};
                if (bias) slots.push_back({DNNL_ARG_BIAS, b});
                for (int i = 0; scaled && i < 2; ++i)
                    slots.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(i) | DNNL_ARG_SRC_1, factors});
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
                                    bool channels_last, bool scaled = false) {
    dnn::Key key(dnn::kConv);
    key.add(int64_t(type) | pass << 8 | int64_t(bias) << 12 | int64_t(a) << 16 | int64_t(b) << 20 |
            int64_t(channels_last) << 24 | int64_t(scaled) << 25 | s.groups << 32);
    for (const Dims* d : {&s.in, &s.weight, &s.out}) key.add(*d);
    for (const Dims* d : {&s.stride, &s.padding, &s.dilation})
        for (int64_t v : *d) key.add(v);
    return dnn::cached<ConvPlan>(
        key, [&] { return Maker{s, type, pass, bias, scaled, {a, b}, channels_last, {}, {}, {}, {}}.make(); });
}

constexpr double kLongWork = 1e6;

bool served(DType t) { return t == DType::f32 || (t == DType::bf16 && dnn::has_bf16()); }

}  // namespace

Tensor library_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& b, bool channels_last) {
    const DType t = x.dtype();
    if (!served(t)) return {};
    const Source src = source(x);
    const auto p = conv_plan(s, t, kForward, b.defined(), src.order, Order::Plain, channels_last);
    if (!p) return {};
    const Tensor r = result_tensor(s.out, t, p->result, channels_last);
    const LongWork unlocked(conv_work(s) > kLongWork);
    std::optional<dnn::Scratch> room;
    Packed hold;
    const void *data = brought(p->first, p->first_desc, src, room), *wd = packed(*p, w, hold);
    if (b.defined()) p->main->run({data, wd, bytes_of(r), b.data()});
    else p->main->run({data, wd, bytes_of(r)});
    return r;
}

Tensor library_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling) {
    const Source src = source(x);
    const auto p = conv_plan(s, DType::f32, kForward, false, src.order, Order::Plain, false, true);
    if (!p) return {};
    const Tensor r = result_tensor(s.out, DType::f32, p->result, false);
    const LongWork unlocked(conv_work(s) > kLongWork);
    std::optional<dnn::Scratch> room;
    Packed hold;
    const void *data = brought(p->first, p->first_desc, src, room), *wd = packed(*p, w, hold);
    p->main->run({data, wd, bytes_of(r), scaling.scale, scaling.shift});
    return r;
}

Tensor library_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w, bool channels_last) {
    const DType t = g.dtype();
    if (!served(t)) return {};
    const Source src = source(g);
    const auto p = conv_plan(s, t, kData, false, src.order, Order::Plain, channels_last);
    if (!p) return {};
    const Tensor r = result_tensor(s.in, t, p->result, channels_last);
    const LongWork unlocked(conv_work(s) > kLongWork);
    std::optional<dnn::Scratch> room;
    Packed hold;
    const void *data = brought(p->first, p->first_desc, src, room), *wd = packed(*p, w, hold);
    p->main->run({data, wd, bytes_of(r)});
    return r;
}

Tensor library_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias) {
    const DType t = x.dtype();
    if (!served(t)) return {};
    const Source a = source(x), b = source(g);
    const auto p = conv_plan(s, t, kWeights, bias, a.order, b.order, false);
    if (!p) return {};
    const Tensor r = empty(s.weight, t);
    if (bias) *bias = empty(Dims{s.weight[0]}, t);
    const LongWork unlocked(conv_work(s) > kLongWork);
    std::optional<dnn::Scratch> room_a, room_b, room_w;
    if (p->after) room_w.emplace(p->result_desc.get_size());
    void* dw = p->after ? room_w->as() : r.data();
    const void *da = brought(p->first, p->first_desc, a, room_a), *dg = brought(p->second, p->second_desc, b, room_b);
    if (bias) p->main->run({da, dg, dw, bias->data()});
    else p->main->run({da, dg, dw});
    if (p->after) p->after->run({dw, r.data()});
    return r;
}

}  // namespace fb::cpu
