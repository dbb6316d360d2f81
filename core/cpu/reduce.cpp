#include "cpu/reduce.h"
#include <cstring>
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/copy_loops.h"
#include "cpu/fold.h"
#include "cpu/images.h"
#include "cpu/iter.h"
#include "cpu/pointwise.h"

namespace fb::cpu {

namespace baseline {
extern const FoldTable sum_table, extreme_table;
}
namespace avx2 {
extern const FoldTable sum_table, extreme_table;
}
namespace avx512 {
extern const FoldTable sum_table, extreme_table;
}

FoldLoop fold_loop(Fold f, DType in) {
    const auto of = [f, in](const FoldTable& t) { return t.loops[int(f)][int(in)]; };
    if (const FoldLoop loop = of(for_this_cpu<baseline::sum_table, avx2::sum_table, avx512::sum_table>())) return loop;
    if (const FoldLoop loop = of(for_this_cpu<baseline::extreme_table, avx2::extreme_table, avx512::extreme_table>()))
        return loop;
    // What AVX-512 leaves to AVX2.
    if (const FoldLoop loop = of(for_this_cpu<baseline::sum_table, avx2::sum_table, avx2::sum_table>())) return loop;
    return of(for_this_cpu<baseline::extreme_table, avx2::extreme_table, avx2::extreme_table>());
}

DType fold_type(Fold f, DType in) {
    switch (f) {
        case Fold::sum:
        case Fold::nansum:
        case Fold::prod:
            if (is_complex(in)) return DType::c128;
            return is_floating(in) ? DType::f64 : in == DType::u64 ? DType::u64 : DType::i64;
        case Fold::max:
        case Fold::min: return in;
        case Fold::all:
        case Fold::any: return DType::b1;
        case Fold::argmax:
        case Fold::argmin:
        case Fold::count_nonzero: return DType::i64;
        default: return DType::f64;
    }
}

Dims reduced_shape(IntSpan sizes, uint64_t dims, bool keepdim) {
    Dims r;
    for (size_t d = 0; d < sizes.size(); ++d) {
        if (!(dims >> d & 1)) r.push_back(sizes[d]);
        else if (keepdim) r.push_back(1);
    }
    return r;
}

uint64_t dims_mask(IntSpan dims, int64_t n, bool empty_means_all) {
    if (dims.empty()) return empty_means_all ? ~uint64_t(0) : 0;
    uint64_t m = 0;
    for (int64_t d : dims) {
        const int64_t w = wrap_dim(d, n);
        check(!(m >> w & 1), "dim ", w, " appears multiple times in the list of dims");
        m |= uint64_t(1) << w;
    }
    return m;
}

static void add_dim(int64_t* size, int64_t* stride, int& n, int64_t s, int64_t st) {
    if (s == 1) return;
    if (n && size[n - 1] * stride[n - 1] == st) {
        size[n - 1] *= s;
        return;
    }
    check(n < kMaxDims, "reductions of tensors with more than ", kMaxDims, " separate dimensions are not supported");
    size[n] = s;
    stride[n++] = st;
}

ReducePlan make_plan(const Tensor& x, uint64_t dims, bool anyhow) {
    ReducePlan p;
    const int64_t item = int64_t(itemsize(x.dtype()));
    Dims folded;
    for (size_t d = x.sizes().size(); d-- > 0;) {
        if (dims >> d & 1) {
            p.length *= x.sizes()[d];
            folded.push_back(int64_t(d));
        } else {
            p.results *= x.sizes()[d];
            add_dim(p.kept_size, p.kept_stride, p.kept, x.sizes()[d], x.strides()[d] * item);
        }
    }
    if (anyhow)  // from neighbours to what lies far apart; what is repeated last
        std::stable_sort(folded.begin(), folded.end(), [&](int64_t a, int64_t b) {
            const auto apart = [&](int64_t d) { return uint64_t(x.strides()[size_t(d)]) - 1; };
            return apart(a) < apart(b);
        });
    for (const int64_t d : folded)
        add_dim(p.fold_size, p.fold_stride, p.folded, x.sizes()[size_t(d)], x.strides()[size_t(d)] * item);
    return p;
}

// Sums of a hidden image over all positions (and samples, and everything): it is folded as it lies, zeros that fill it
// up included. Undefined for other dimensions.
static Tensor fold_image(const char* name, const Tensor& x, uint64_t dims, bool keepdim) {
    const Ptr<Image> image = x.dim() > 2 ? float_image(x, x.dim() - 2) : nullptr;
    const uint64_t all = (uint64_t(1) << x.dim()) - 1, positions = all & ~uint64_t(3);
    const bool everything = (dims & all) == all;
    if (!image || (dims & positions) != positions || (dims & 2 && !everything)) return {};
    const Pictures p(*image);
    const int64_t samples = image->sizes[0], padded = image->padded_channels(),
                  sizes[] = {samples, p.count / samples, image->spatial(), p.width};
    const Tensor lies = TensorImpl::create();
    lies->storage = Storage::borrow(p.data, image->bytes(), [] {});
    lies->dtype = DType::f32;
    lies->set_contiguous(sizes);
    Tensor r = fold(Fold::sum, name, lies, everything ? 0b1111 : dims & 1 ? 0b101 : 0b100, false);
    if (image->padded() && !everything) {
        const int64_t rows = dims & 1 ? 1 : samples;
        r = dense(make_view(r, Dims{rows, image->channels()}, Dims{padded, 1}, 0));
    }
    r->set_contiguous(reduced_shape(x.sizes(), dims, keepdim));
    return r;
}

// What folds the results of parts into the result of the whole; `count` where nothing does.
static Fold joining(Fold f) {
    switch (f) {
        case Fold::sum:
        case Fold::nansum:
        case Fold::count_nonzero:
        case Fold::abs_sum:
        case Fold::square_sum:
        case Fold::abs_pow_sum:
        case Fold::moments: return Fold::sum;
        case Fold::abs_max: return Fold::max;
        case Fold::abs_min: return Fold::min;
        case Fold::prod:
        case Fold::max:
        case Fold::min:
        case Fold::all:
        case Fold::any: return f;
        default: return Fold::count;
    }
}
// Means and squared deviations of parts of `each` values (the last has the rest of `length`), joined.
static void join_moments(const double* part, int64_t parts, int64_t length, int64_t each, double* to) {
    double mean = part[0], squares = part[1], n = double(std::min(each, length));
    for (int64_t k = 1; k < parts; ++k) {
        const double m = double(std::min(each, length - k * each)), gap = part[2 * k] - mean;
        squares += part[2 * k + 1] + gap * gap * (n * m / (n + m));
        mean += gap * (m / (n + m));
        n += m;
    }
    to[0] = mean;
    to[1] = squares;
}

// Products of up to eight values of a result each, as many as there are a dimension allows: their loop takes vectors.
static Tensor halved(const Tensor& x0, uint64_t dims) {
    Tensor x = x0;
    for (int times = 0; times < 3 && x.numel() >= 1024; ++times) {
        int64_t dim = -1;
        for (int64_t d = 0; d < x.dim(); ++d)
            if (dims >> d & 1 && (dim < 0 || x.size(d) > x.size(dim))) dim = d;
        if (dim < 0 || x.size(dim) % 2 || x.size(dim) < 16) break;
        Dims half = x.sizes();
        const int64_t n = half[size_t(dim)] /= 2;
        const Tensor a = make_view(x, half, x.strides(), x->offset),
                     b = make_view(x, half, x.strides(), x->offset + n * x.strides()[size_t(dim)]);
        x = binary(Binary::mul, "prod_cpu", a, b, x.dtype(), Out());
    }
    return x;
}
// A loop for every type would take minutes to compile: the rarer ones fold a converted copy. Undefined where x has its
// own loop, or there is none at all.
static Tensor as_folded(Fold f, const Tensor& x, uint64_t dims) {
    const DType t = x.dtype();
    if (fold_loop(f, t)) return {};
    if (f == Fold::prod && t == DType::c64) return convert(halved(x, dims), DType::c128);
    if (f == Fold::prod && is_integral(t, true)) return convert(x, DType::i64);
    if (is_low_precision(t) && (f == Fold::prod || f >= Fold::abs_sum)) return convert(x, DType::f32);
    if (!is_complex(t)) return {};
    if (f == Fold::count_nonzero || f == Fold::all || f == Fold::any) return convert(x, DType::b1);
    if (f >= Fold::abs_sum && f <= Fold::abs_pow_sum && unary_loop(Unary::abs, t))
        return unary(Unary::abs, "abs_cpu", x, t, Out());
    return {};
}

// Sums in double, written as float: a block of them at a time, which never leaves the nearest cache.
// `loop(to, begin, end)` writes results [begin, end).
template <class Loop>
static void fold_to_float(Loop&& loop, float* to, int64_t begin, int64_t end) {
    constexpr int64_t kBlock = 1024;
    double block[kBlock];
    const auto narrowed = convert_loop(DType::f64, DType::f32);
    const int64_t steps[] = {sizeof(float), sizeof(double)};
    for (; begin < end; begin += kBlock) {
        const int64_t n = std::min(kBlock, end - begin);
        loop(reinterpret_cast<char*>(reinterpret_cast<intptr_t>(block) - begin * int64_t(sizeof(double))), begin,
             begin + n);
        char* const ends[] = {reinterpret_cast<char*>(to + begin), reinterpret_cast<char*>(block)};
        narrowed(ends, steps, n, nullptr);
    }
}

// Few values for each of many results: blocks of them are turned, so that the loop works on results side by side.
constexpr int64_t kFewValues = 32;
template <class T>
static void fold_turned(FoldLoop loop, const ReducePlan& plan, const char* in, char* out, int64_t item, int64_t begin,
                        int64_t end) {
    constexpr int64_t kBytes = 8192, kItem = sizeof(T);  // stays in the nearest cache with what is read
    const CopyLoops& loops = copy_loops();
    alignas(64) char room[kBytes];
    T* const block = reinterpret_cast<T*>(room);
    ReducePlan turned;
    turned.kept = turned.folded = 1;
    turned.length = turned.fold_size[0] = plan.length;
    turned.kept_stride[0] = int64_t(sizeof(T));
    turned.param = plan.param;
    while (begin < end) {
        const char* p = in;
        int64_t rest = begin;
        for (int d = 0; d < plan.kept; ++d) {
            p += rest % plan.kept_size[d] * plan.kept_stride[d];
            rest /= plan.kept_size[d];
        }
        const int64_t apart = plan.kept_stride[0], left = plan.kept_size[0] - begin % plan.kept_size[0];
        // Turned in squares where rows lie as whole; short ones are read beyond their ends, where others follow.
        int64_t side = 0;
        if constexpr (sizeof(T) == 4 || sizeof(T) == 8) {
            side = sizeof(T) == 4 ? loops.side4 : loops.side8;
            if (plan.fold_stride[0] != kItem || apart < 0 || plan.length < side / 2) side = 0;
        }
        const int64_t most = kBytes / (std::max(plan.length, side) * kItem);
        const int64_t n = std::min({most < 16 ? most : most / 16 * 16, end - begin, left});
        int64_t done = 0;
        if constexpr (sizeof(T) == 4 || sizeof(T) == 8) {
            const auto turn = [&](int64_t k, int64_t values) {
                const T* const from = reinterpret_cast<const T*>(p) + k;
                if constexpr (sizeof(T) == 4) loops.turn4(from, apart / kItem, block + k * n, n, done, values);
                else loops.turn8(from, apart / kItem, block + k * n, n, done, values);
            };
            if (side && plan.length >= side) {
                done = n;
                turn(0, plan.length / side * side);
                if (plan.length % side) turn(plan.length - side, side);
            } else if (side && apart) {
                const int64_t last = (left - 1) * apart + (plan.length - side) * kItem;
                done = last < 0 ? 0 : std::min(n, last / apart + 1);
                turn(0, side);
            }
        }
        for (int64_t k = 0; k < plan.length; ++k) {
            const char* from = p + done * apart + k * plan.fold_stride[0];
            for (int64_t i = done; i < n; ++i, from += apart) std::memcpy(block + k * n + i, from, sizeof(T));
        }
        turned.kept_size[0] = turned.results = n;
        turned.fold_stride[0] = n * int64_t(sizeof(T));
        loop(turned, room, out + begin * item, 0, n);
        begin += n;
    }
}
static void fold_turned(FoldLoop loop, const ReducePlan& plan, DType type, const char* in, char* out, int64_t item,
                        int64_t begin, int64_t end) {
    switch (itemsize(type)) {
        case 1: return fold_turned<uint8_t>(loop, plan, in, out, item, begin, end);
        case 2: return fold_turned<uint16_t>(loop, plan, in, out, item, begin, end);
        case 4: return fold_turned<uint32_t>(loop, plan, in, out, item, begin, end);
        case 8: return fold_turned<uint64_t>(loop, plan, in, out, item, begin, end);
        default: return fold_turned<C128>(loop, plan, in, out, item, begin, end);
    }
}
// Folds that have a register for each of several rows (`row` in cpu/simd/reduce*.cpp).
static bool own_rows(Fold f, DType type) {
    if (type == DType::f32 || type == DType::f64) return f == Fold::prod || f == Fold::max || f == Fold::min;
    if (is_complex(type)) return f == Fold::sum;
    if (type == DType::i64 || type == DType::u64) return f == Fold::sum || f == Fold::max || f == Fold::min;
    if (itemsize(type) == 1) return f == Fold::sum || f == Fold::count_nonzero;
    return (type == DType::i32 || type == DType::u32) && (f == Fold::max || f == Fold::min);
}
// Sums of neighbouring floats have registers of their own, and so have those of results that already lie side by side;
// other loops need more values than lanes.
static bool turns(Fold f, DType type, const ReducePlan& plan) {
    if (plan.folded != 1 || !plan.kept || plan.length >= 2 * kFewValues) return false;
    const int64_t item = int64_t(itemsize(type));
    const bool together = plan.fold_stride[0] == item, places = f == Fold::argmax || f == Fold::argmin;
    if (plan.results < (together && !places ? 1024 : 128)) return false;
    if (together && (type == DType::f32 || type == DType::f64) &&
        (f == Fold::sum || f == Fold::nansum || f == Fold::abs_sum || f == Fold::square_sum))
        return false;
    if (together && plan.kept == 1 && plan.length >= 16 && own_rows(f, type)) return false;
    if (together && plan.kept == 1 && f == Fold::prod && item >= 8 && !is_floating(type)) return false;
    const bool few =
        plan.length <= kFewValues || (together && item != 8 && type != DType::f32 && !is_low_precision(type));
    return few && plan.kept_size[0] >= 16 && plan.kept_stride[0] != item && f != Fold::moments;
}
// Half types have loops for long rows only.
static bool long_rows(const Tensor& x, uint64_t dims) {
    return x.dim() && dims >> (x.dim() - 1) & 1 && x->contiguous && x.sizes().back() > kFewValues;
}

// A few long rows are added up, multiplied or compared one after another, by the loops of two operands.
static bool few_rows(Fold f, DType in, DType out, const ReducePlan& plan, int64_t item) {
    const bool known = f == Fold::sum || f == Fold::prod || f == Fold::max || f == Fold::min;
    return known && in == out && (item == 4 || item == 8) && !is_complex(in) && plan.folded == 1 && plan.kept == 1 &&
           plan.kept_stride[0] == item && plan.results >= 1024 && plan.length >= 2 && plan.length <= 16 &&
           plan.fold_stride[0] >= plan.results * item;
}
static void fold_few_rows(Loop join, const ReducePlan& plan, const char* in, char* out, int64_t item) {
    constexpr int64_t kBlock = 2048;  // results, which stay near
    parallel_for((plan.results + kBlock - 1) / kBlock, std::max<int64_t>(1, 16 / plan.length),
                 [&](int64_t b, int64_t e) {
                     for (; b < e; ++b) {
                         const int64_t first = b * kBlock, n = std::min(kBlock, plan.results - first);
                         const int64_t steps[] = {item, item, item};
                         char *const to = out + first * item, *row = const_cast<char*>(in) + first * item;
                         char* p[] = {to, row, row + plan.fold_stride[0]};
                         for (int64_t r = 1; r < plan.length; ++r, p[1] = to, p[2] += plan.fold_stride[0])
                             join(p, steps, n, nullptr);
                     }
                 });
}

Tensor fold(Fold f, const char* name, const Tensor& x, uint64_t dims, bool keepdim, double param, DType want) {
    if (f == Fold::sum && x->storage->image())
        if (Tensor r = fold_image(name, x, dims, keepdim); r.defined()) return r;
    if (const Tensor other = as_folded(f, x, dims); other.defined())
        return fold(f, name, other, dims, keepdim, param, want);
    if (is_low_precision(x.dtype()) && x.dim() && fold_type(f, x.dtype()) == x.dtype() && !long_rows(x, dims))
        return convert(fold(f, name, convert(x, DType::f32), dims, keepdim), x.dtype());
    if (is_low_precision(x.dtype()) && (f == Fold::argmax || f == Fold::argmin) && !long_rows(x, dims))
        return fold(f, name, convert(x, DType::f32), dims, keepdim);
    const FoldLoop loop = fold_loop(f, x.dtype());
    if (!loop) fail(ErrorKind::NotImplemented, '"', name, "\" not implemented for '", x.dtype(), "'");
    Dims shape = reduced_shape(x.sizes(), dims, keepdim);
    if (f == Fold::moments) shape.push_back(2);
    const DType type = fold_type(f, x.dtype());
    const bool narrow = type == DType::f64 && want == DType::f32 && f != Fold::moments;
    Tensor out = empty(shape, narrow ? want : type, x.device());
    if (out.is_meta()) return out;
    ReducePlan plan = make_plan(x, dims, f != Fold::argmax && f != Fold::argmin);
    plan.param = param;
    if (!plan.results) return out;
    if (plan.kept == 1 && plan.kept_stride[0] == 0 && plan.length && f != Fold::moments) {  // one value, repeated
        Dims one(x.sizes()), nowhere;
        for (size_t d = 0; d < one.size(); ++d)
            if (!(dims >> d & 1)) one[d] = 1;
        for (size_t d = 0; d < shape.size(); ++d) nowhere.push_back(0);
        const Tensor value = fold(f, name, make_view(x, one, x.strides(), x->offset), dims, true, param, want);
        copy_data(out, make_view(value, shape, nowhere, value->offset));
        return out;
    }
    const char* in = static_cast<const char*>(x->data());
    const int64_t item = int64_t(itemsize(x.dtype()));
    if (few_rows(f, x.dtype(), out.dtype(), plan, item)) {
        const Binary by = f == Fold::sum    ? Binary::add
                          : f == Fold::prod ? Binary::mul
                          : f == Fold::max  ? Binary::maximum
                                            : Binary::minimum;
        fold_few_rows(binary_loop(by, x.dtype()), plan, in, static_cast<char*>(out->data()), item);
        return out;
    }
    const auto write = [&](FoldLoop by, const ReducePlan& from, const char* data, int64_t begin, int64_t end) {
        if (narrow)
            fold_to_float([&](char* to, int64_t b, int64_t e) { by(from, data, to, b, e); }, out.data<float>(), begin,
                          end);
        else by(from, data, static_cast<char*>(out->data()), begin, end);
    };
    const int64_t work = plan.results * std::max<int64_t>(plan.length, 1);
    constexpr int64_t kGrain = 32768;
    if (plan.length == 0) {
        plan.folded = 1;
        plan.fold_size[0] = 0;
        plan.fold_stride[0] = 0;
    }
    // Folds of parts, one behind the other in `partial`, are folded again.
    const Fold join = joining(f);
    const int64_t bytes = int64_t(itemsize(type)) * (f == Fold::moments ? 2 : 1), row = plan.results * bytes;
    const auto partials = [&](int64_t parts) { return empty(Dims{parts, row / int64_t(itemsize(type))}, type); };
    const auto join_parts = [&](const Tensor& partial, int64_t parts) {
        ReducePlan last;
        last.folded = 1;
        last.fold_size[0] = last.length = parts;
        last.fold_stride[0] = row;
        last.kept = 1;
        last.kept_size[0] = last.results = plan.results;
        last.kept_stride[0] = bytes;
        write(fold_loop(join, type), last, static_cast<const char*>(partial->data()), 0, plan.results);
    };
    const bool joins = join != Fold::count && work > 2 * kGrain, moments = f == Fold::moments;
    // Short runs of neighbours, whole blocks of them far from each other (batches of rows): first all the runs.
    if (joins && !moments && plan.folded == 2 && plan.kept == 1 && plan.fold_stride[0] == item &&
        plan.fold_size[0] >= 16 && plan.fold_size[0] <= 1024 &&
        plan.fold_stride[1] == plan.kept_stride[0] * plan.kept_size[0]) {
        const int64_t parts = plan.fold_size[1];
        ReducePlan runs = plan;
        runs.folded = 1;
        runs.length = plan.fold_size[0];
        runs.kept_size[0] = runs.results = plan.results * parts;
        const Tensor partial = partials(parts);
        parallel_for(runs.results, std::max<int64_t>(1, kGrain / runs.length),
                     [&](int64_t b, int64_t e) { loop(runs, in, static_cast<char*>(partial->data()), b, e); });
        join_parts(partial, parts);
        return out;
    }
    // Few results of many values that the threads cannot share evenly: their longest dimension is cut in pieces.
    // So are long columns of whole rows: each thread then reads memory that lies together.
    const bool columns = plan.kept == 1 && plan.folded == 1 && plan.kept_stride[0] == item &&
                         plan.fold_stride[0] > plan.kept_stride[0] && plan.length >= 128 && plan.results <= 8192;
    const int64_t threads = num_threads(), idle = (threads - plan.results % threads) % threads;
    const bool few = plan.results == 1 ||
                     (!moments && (columns || (plan.results < 64 && plan.length >= 8192 && 16 * idle > plan.results)));
    if (few && joins && threads > 1) {
        int longest = 0;
        for (int d = 1; d < plan.folded; ++d)
            if (plan.fold_size[d] > plan.fold_size[longest]) longest = d;
        const int64_t each = (plan.fold_size[longest] + threads - 1) / threads;
        const int64_t used = (plan.fold_size[longest] + each - 1) / each;
        const Tensor partial = partials(used);
        parallel_for(used, 1, [&](int64_t b, int64_t e) {
            for (int64_t i = b; i < e; ++i) {
                ReducePlan part = plan;
                part.fold_size[longest] = std::min(each, plan.fold_size[longest] - i * each);
                part.length = plan.length / plan.fold_size[longest] * part.fold_size[longest];
                loop(part, in + i * each * plan.fold_stride[longest], static_cast<char*>(partial->data()) + i * row, 0,
                     plan.results);
            }
        });
        if (moments)
            join_moments(partial.data<double>(), used, plan.length, each * (plan.length / plan.fold_size[longest]),
                         out.data<double>());
        else join_parts(partial, used);
        return out;
    }
    const bool turned = turns(f, x.dtype(), plan);
    parallel_for(plan.results, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, plan.length)),
                 [&](int64_t b, int64_t e) {
                     if (!turned) return write(loop, plan, in, b, e);
                     const auto across = [&](char* to, int64_t from, int64_t end) {
                         fold_turned(loop, plan, x.dtype(), in, to, bytes, from, end);
                     };
                     if (narrow) fold_to_float(across, out.data<float>(), b, e);
                     else across(static_cast<char*>(out->data()), b, e);
                 });
    return out;
}

}  // namespace fb::cpu
