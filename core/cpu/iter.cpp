#include "cpu/iter.h"
#include <cmath>
#include <cstring>
#include <numeric>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include "base/float8.h"
#include "base/parallel.h"
#include "cpu/copy.h"
#include "cpu/copy_loops.h"
#include "cpu/order.h"
#include "cpu/watch.h"

namespace fb::cpu {

// ---------------------------------------------------------------- the loop
// to[j][i] = from[i][j] for elements of T; rows of `to` are `side` long.
template <class T>
static void turn_as(char* to, int64_t side, const char* from, int64_t stride, int64_t ni, int64_t nj) {
    T* out = reinterpret_cast<T*>(to);
    for (int64_t i = 0; i < ni; ++i) {
        const char* row = from + i * stride;
        for (int64_t j = 0; j < nj; ++j) std::memcpy(&out[j * side + i], row + j * int64_t(sizeof(T)), sizeof(T));
    }
}
static void turn(char* to, int64_t side, const char* from, int64_t stride, int64_t ni, int64_t nj, int64_t item) {
    const CopyLoops& loops = copy_loops();
    switch (item) {
        case 1: return turn_as<uint8_t>(to, side, from, stride, ni, nj);
        case 2: return turn_as<uint16_t>(to, side, from, stride, ni, nj);
        case 4:
            return loops.turn4(reinterpret_cast<const uint32_t*>(from), stride / item, reinterpret_cast<uint32_t*>(to),
                               side, ni, nj);
        case 8:
            return loops.turn8(reinterpret_cast<const uint64_t*>(from), stride / item, reinterpret_cast<uint64_t*>(to),
                               side, ni, nj);
        default: return turn_as<C128>(to, side, from, stride, ni, nj);
    }
}

// Each of n values `times` times, one behind the other; up to kPast bytes more are written over.
constexpr int64_t kPast = 16;
template <class T>
static void spread_as(char* to, const char* from, int64_t stride, int64_t n, int64_t times) {
    const int64_t bytes = times * int64_t(sizeof(T));
    for (int64_t i = 0; i < n; ++i, to += bytes) {
        T one;
        std::memcpy(&one, from + i * stride, sizeof(T));
        if constexpr (sizeof(T) < kPast) {
            using Register [[gnu::vector_size(kPast)]] = T;
            const Register v = Register{} + one;
            for (int64_t at = 0; at < bytes; at += kPast) std::memcpy(to + at, &v, kPast);
        } else {
            for (int64_t at = 0; at < bytes; at += kPast) std::memcpy(to + at, &one, kPast);
        }
    }
}
static void spread_values(char* to, const char* from, int64_t stride, int64_t n, int64_t times, int64_t item) {
    switch (item) {
        case 1: return spread_as<uint8_t>(to, from, stride, n, times);
        case 2: return spread_as<uint16_t>(to, from, stride, n, times);
        case 4: return spread_as<uint32_t>(to, from, stride, n, times);
        case 8: return spread_as<uint64_t>(to, from, stride, n, times);
        default: return spread_as<C128>(to, from, stride, n, times);
    }
}

using Few = Small<int64_t, 6>;

// Short strips one behind the other become long ones: an operand that goes on where the strip before ended needs
// nothing, one that starts again with every strip is written down several times, one that has a value a strip gets it
// written down for every element. False where none of these fits.
static bool run_repeated(Loop loop, const Few& size, const Few* stride, std::span<const Strided> ops, char* const* base,
                         const void* params, int64_t grain) {
    constexpr int64_t kBytes = 8192, kTile = 1024, kLine = 64;
    const int n_ops = int(ops.size());
    constexpr int64_t kLongestSpread = 64;
    bool again[kMaxOperands] = {}, spread[kMaxOperands] = {}, any = false;
    int64_t item = 1;
    for (int k = 0; k < n_ops; ++k) {
        if (stride[k][1] == stride[k][0] * size[0]) continue;
        if (k == 0 || !ops[size_t(k)].item) return false;
        if (stride[k][1] == 0) again[k] = true;
        else if (stride[k][0] == 0 && size[0] <= kLongestSpread) spread[k] = true;
        else return false;
        any = true;
        item = std::max<int64_t>(item, ops[size_t(k)].item);
    }
    const int64_t times = std::min(size[1], kBytes / (item * size[0]));
    if (!any || times < 4) return false;
    int64_t outer = 1;
    for (size_t d = 2; d < size.size(); ++d) outer *= size[d];
    // A strip that is another one at every outer position is not worth more than a few copies.
    int64_t copies = times;
    for (int k = 0; k < n_ops; ++k)
        for (size_t d = 2; again[k] && d < size.size(); ++d)
            if (stride[k][d]) copies = std::min(times, std::max<int64_t>(4, kTile / (item * size[0])));
    auto work = [&](int64_t begin, int64_t end) {  // over the rows of all outer positions
        // whole lines, which begin at different places of a page
        alignas(64) char buffer[kMaxOperands][kBytes + 5 * kLine];
        const char* written[kMaxOperands] = {};  // what the buffers hold
        int64_t rows_written = 0;
        while (begin < end) {
            const int64_t at = begin / size[1], row = begin % size[1];
            const int64_t rows = std::min({times, size[1] - row, end - begin});
            char* p[kMaxOperands];
            int64_t st[kMaxOperands];
            for (int k = 0; k < n_ops; ++k) p[k] = base[k] + row * stride[k][1];
            int64_t rest = at;
            for (size_t d = 2; d < size.size(); ++d) {
                const int64_t i = rest % size[d];
                rest /= size[d];
                for (int k = 0; k < n_ops; ++k) p[k] += i * stride[k][d];
            }
            for (int k = 0; k < n_ops; ++k) {
                st[k] = stride[k][0];
                if (!again[k] && !spread[k]) continue;
                const int64_t bytes = ops[size_t(k)].item;
                const char* const from = p[k];
                if (again[k] && written[k] != from) {
                    const int64_t once = size[0] * bytes, all = copies * once;
                    if (stride[k][0] == bytes && once >= kLine) {
                        // In whole registers, or reading them again would wait for what was just written.
                        for (int64_t done = 0; done < all; done += once)
                            copy_loops().bytes(buffer[k] + done, from, once);
                    } else {
                        if (stride[k][0] == bytes) std::memcpy(buffer[k], from, size_t(once));
                        else
                            for (int64_t i = 0; i < size[0]; ++i)
                                std::memcpy(buffer[k] + i * bytes, from + i * stride[k][0], size_t(bytes));
                        for (int64_t done = once; done < all; done *= 2)
                            std::memcpy(buffer[k] + done, buffer[k], size_t(std::min(done, all - done)));
                    }
                } else if (spread[k] && (written[k] != from || rows_written < rows)) {
                    spread_values(buffer[k], from, stride[k][1], rows, size[0], bytes);
                }
                written[k] = from;
                p[k] = buffer[k];
                st[k] = bytes;
            }
            rows_written = rows;
            for (int64_t done = 0; done < rows; done += copies) {
                loop(p, st, std::min(copies, rows - done) * size[0], params);
                for (int k = 0; k < n_ops; ++k)
                    if (!again[k]) p[k] += copies * size[0] * st[k];
            }
            begin += rows;
        }
    };
    const int64_t rows = outer * size[1];
    if (!grain || rows * size[0] <= grain) work(0, rows);
    else parallel_for(rows, std::max<int64_t>(1, grain / size[0]), work);
    return true;
}

// One element of `item` bytes (a power of two), again and again; at least 16 bytes.
static void fill_with(const char* one, char* to, int64_t item, int64_t bytes) {
    constexpr int64_t kUnit = 16, kOnce = 1024;
    char unit[kUnit];
    for (int64_t i = 0; i < kUnit; i += item) std::memcpy(unit + i, one, size_t(item));
    const int64_t first = std::min(bytes, kOnce);
    for (int64_t i = 0; i + kUnit <= first; i += kUnit) std::memcpy(to + i, unit, kUnit);
    std::memcpy(to + first - kUnit, unit, kUnit);
    for (int64_t done = first; done < bytes; done += kOnce)  // from the nearest cache
        std::memcpy(to + done, to, size_t(std::min(bytes - done, kOnce)));
}

void run_loop(Loop loop, IntSpan sizes, std::span<Strided> ops, const void* params, int64_t grain) {
    const int n_ops = int(ops.size());
    // Dimensions from the fastest of the output to the slowest; equal ones merged.
    Few size;
    Small<int, 6> order;
    int64_t total = 1;
    for (int d = int(sizes.size()) - 1; d >= 0; --d) {
        total *= sizes[size_t(d)];
        if (sizes[size_t(d)] != 1) order.push_back(d);
    }
    if (total == 0) return;
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        for (const Strided& o : ops) {
            const int64_t x = std::abs(o.strides[size_t(a)]), y = std::abs(o.strides[size_t(b)]);
            if (x == 0 || y == 0) continue;
            if (x != y) return x < y;
        }
        return false;
    });
    Few stride[kMaxOperands];
    for (int d : order) {
        bool merged = !size.empty();
        for (int k = 0; merged && k < n_ops; ++k)
            merged = ops[size_t(k)].strides[size_t(d)] == stride[k].back() * size.back();
        if (merged) {
            size.back() *= sizes[size_t(d)];
            continue;
        }
        size.push_back(sizes[size_t(d)]);
        for (int k = 0; k < n_ops; ++k) stride[k].push_back(ops[size_t(k)].strides[size_t(d)]);
    }
    char* base[kMaxOperands];
    for (int k = 0; k < n_ops; ++k) base[k] = ops[size_t(k)].ptr;
    int64_t inner[kMaxOperands] = {};
    if (size.empty()) {
        loop(base, inner, 1, params);
        return;
    }
    for (int k = 0; k < n_ops; ++k) inner[k] = stride[k][0];
    if (size.size() > 1 && size[0] <= 128 && size[1] >= 4 && total >= 1024 &&
        run_repeated(loop, size, stride, ops, base, params, grain))
        return;
    if (size.size() > 1 && size[0] < 16 && size[1] >= 8 * size[0]) {  // rather a few long strips, even of lone elements
        std::swap(size[0], size[1]);
        for (int k = 0; k < n_ops; ++k) {
            std::swap(stride[k][0], stride[k][1]);
            inner[k] = stride[k][0];
        }
    }
    // Operands whose memory runs across the strips. A cache keeps the lines of a strip until the next one needs them
    // again, unless they are too many or fall into few of its sets: then squares are turned into a small buffer first.
    int across[kMaxOperands], n_across = 0, item = 1;
    for (int k = 1; size.size() > 1 && total >= 4096 && k < n_ops; ++k) {
        const int64_t pitch = std::abs(stride[k][0]);
        if (!ops[size_t(k)].item || stride[k][1] != ops[size_t(k)].item || pitch <= stride[k][1]) continue;
        const bool in_registers = stride[k][1] == 4;  // squares of 64 are turned at little cost
        if (in_registers ? std::min(size[0], size[1]) < 32 : size[0] <= 2048 && (pitch % 1024 || size[0] < 64))
            continue;
        across[n_across++] = k;
        item = std::max(item, ops[size_t(k)].item);
    }
    if (n_across) {
        const int64_t side = item <= 4 ? 64 : 32;
        const int64_t rows = (size[0] + side - 1) / side, columns = (size[1] + side - 1) / side;
        const int64_t squares = total / (size[0] * size[1]) * rows * columns;
        auto work = [&](int64_t begin, int64_t end) {
            alignas(64) char buffer[kMaxOperands][16384];
            int64_t strip[kMaxOperands];
            std::copy_n(inner, n_ops, strip);
            for (int a = 0; a < n_across; ++a) strip[across[a]] = ops[size_t(across[a])].item;
            for (int64_t u = begin; u < end; ++u) {
                const int64_t i = u % rows * side, j = u / rows % columns * side;
                const int64_t ni = std::min(side, size[0] - i), nj = std::min(side, size[1] - j);
                int64_t rest = u / (rows * columns);
                char* p[kMaxOperands];
                int64_t step[kMaxOperands];
                for (int k = 0; k < n_ops; ++k) {
                    p[k] = base[k] + i * stride[k][0] + j * stride[k][1];
                    step[k] = stride[k][1];
                }
                for (size_t d = 2; d < size.size(); ++d) {
                    for (int k = 0; k < n_ops; ++k) p[k] += rest % size[d] * stride[k][d];
                    rest /= size[d];
                }
                for (int a = 0; a < n_across; ++a) {
                    const int k = across[a];
                    turn(buffer[a], side, p[k], stride[k][0], ni, nj, strip[k]);
                    p[k] = buffer[a];
                    step[k] = side * strip[k];
                }
                for (int64_t r = 0; r < nj; ++r) {
                    loop(p, strip, ni, params);
                    for (int k = 0; k < n_ops; ++k) p[k] += step[k];
                }
            }
        };
        if (!grain || total <= grain) work(0, squares);
        else parallel_for(squares, std::max<int64_t>(1, grain / (side * side)), work);
        return;
    }
    const int64_t rows = size.size() > 1 ? size[1] : 1;
    constexpr int64_t kWorthFilling = 48, kStrips = 64;
    bool constant = n_ops > 1 && ops[0].item && ops[0].item <= 16 &&
                    inner[0] == ops[0].item;  // a strip whose inputs are one value each
    for (int k = 1; k < n_ops; ++k) constant = constant && inner[k] == 0;
    auto work = [&](int64_t begin, int64_t end) {
        while (begin < end) {  // rows of dimensions 0 and 1 at a time
            char* p[kMaxOperands];
            int64_t next[kMaxOperands] = {}, at = begin % size[0], rest = begin / size[0], row = rest % rows;
            rest /= rows;
            for (int k = 0; k < n_ops; ++k) {
                if (size.size() > 1) next[k] = stride[k][1];
                p[k] = base[k] + at * inner[k] + row * next[k];
            }
            for (size_t d = 2; d < size.size(); ++d) {
                const int64_t i = rest % size[d];
                rest /= size[d];
                for (int k = 0; k < n_ops; ++k) p[k] += i * stride[k][d];
            }
            for (; row < rows && begin < end; ++row) {
                const int64_t n = std::min(size[0] - at, end - begin);
                if (constant && n >= kWorthFilling) {  // those of several strips at once
                    const int64_t some = n < size[0] ? 1 : std::min({kStrips, rows - row, (end - begin) / n});
                    alignas(64) char values[kStrips * 16];
                    char* q[kMaxOperands];
                    std::copy_n(p, n_ops, q);
                    q[0] = values;
                    next[0] = inner[0];
                    loop(q, next, some, params);
                    next[0] = size.size() > 1 ? stride[0][1] : 0;
                    for (int64_t j = 0; j < some; ++j)
                        fill_with(values + j * inner[0], p[0] + j * next[0], inner[0], n * inner[0]);
                    begin += some * n, row += some - 1;
                    for (int k = 0; k < n_ops; ++k) p[k] += some * next[k] - at * inner[k];
                    at = 0;
                    continue;
                }
                loop(p, inner, n, params);
                begin += n;
                for (int k = 0; k < n_ops; ++k) p[k] += next[k] - at * inner[k];
                at = 0;
            }
        }
    };
    if (!grain || total <= grain) work(0, total);
    else parallel_for(total, grain, work);
}

// ---------------------------------------------------------------- large results
// A result far larger than the caches is made block by block and stored past them: without that every line of it would
// be read before it is written.
#ifdef __SSE2__
constexpr int64_t kStreamBytes = int64_t(64) << 20;

static void store_past_caches(char* to, const char* from, int64_t bytes) {  // `to` is a multiple of 16
    int64_t i = 0;
    for (; i + 16 <= bytes; i += 16)
        _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    std::memcpy(to + i, from + i, size_t(bytes - i));
}

static void run_streamed(Loop loop, char* const* p, const int64_t* st, int n_ops, int64_t begin, int64_t end,
                         const void* params) {
    constexpr int64_t kBlock = 8192;
    alignas(64) char room[kBlock];
    while (begin < end) {
        char* q[kMaxOperands];
        for (int k = 0; k < n_ops; ++k) q[k] = p[k] + begin * st[k];
        const int64_t past_line = int64_t(reinterpret_cast<uintptr_t>(q[0]) & 63);
        const int64_t n = std::min(end - begin, (kBlock - past_line) / st[0]);  // from the second block on, whole lines
        char* const to = q[0];
        q[0] = room;
        loop(q, st, n, params);
        if (past_line & 15) std::memcpy(to, room, size_t(n * st[0]));
        else store_past_caches(to, room, n * st[0]);
        begin += n;
    }
    _mm_sfence();
}
#else
constexpr int64_t kStreamBytes = INT64_MAX;
static void run_streamed(Loop, char* const*, const int64_t*, int, int64_t, int64_t, const void*) {}
#endif

// ---------------------------------------------------------------- operands
namespace {

// An operand ready for the loop: converted, its number or 0-d value held here.
struct Ready {
    Tensor tensor;  // keeps a converted copy alive
    const TensorImpl* t = nullptr;
    alignas(16) char number[16];
};

void prepare(Ready& r, const Operand& o, DType common, bool others_have_dims) {
    if (!o.is_tensor()) {
        const Scalar s = o.scalar();
        if (common == DType::c32) {
            const C128 z = s.complex();
            const F16 v[] = {float(z.re), float(z.im)};
            std::memcpy(r.number, v, sizeof v);
            return;
        }
        visit_number(common, [&](auto z) {
            const auto v = s.to<decltype(z)>();
            std::memcpy(r.number, &v, sizeof v);
        });
        return;
    }
    const Tensor& t = o.tensor();
    if (t.dtype() == common && !(others_have_dims && t.dim() == 0)) {
        r.t = t.get();
        return;
    }
    if (t.dim() == 0 && !t.is_meta()) {
        char* p[2] = {r.number, static_cast<char*>(t->data())};
        const int64_t st[2] = {0, 0};
        convert_loop(t.dtype(), common)(p, st, 1, nullptr);
        return;
    }
    r.tensor = convert(t, common);
    r.t = r.tensor.get();
}

void byte_strides(Small<int64_t, 6>& to, IntSpan sizes, IntSpan strides, IntSpan shape, int64_t item) {
    const size_t lead = shape.size() - sizes.size();
    to.resize(shape.size(), 0);
    for (size_t d = 0; d < sizes.size(); ++d)
        to[lead + d] = sizes[d] == 1 && shape[lead + d] != 1 ? 0 : strides[d] * item;
}

}  // namespace

bool memory_overlaps(const Tensor& a, const Tensor& b) {
    if (!a.numel() || !b.numel() || a->storage.get() != b->storage.get()) return false;
    const int64_t ea = storage_size(a.sizes(), a.strides(), a->offset) * int64_t(itemsize(a.dtype()));
    const int64_t eb = storage_size(b.sizes(), b.strides(), b->offset) * int64_t(itemsize(b.dtype()));
    return a->offset * int64_t(itemsize(a.dtype())) < eb && b->offset * int64_t(itemsize(b.dtype())) < ea;
}

static bool same_elements(const Tensor& a, const Tensor& b) {
    return a->offset == b->offset && a.dtype() == b.dtype() && same(a.sizes(), b.sizes()) &&
           same(a.strides(), b.strides());
}

void check_writable(const Tensor& out) {
    for (size_t d = 0; d < out.sizes().size(); ++d)
        if (out.sizes()[d] > 1 && out.strides()[d] == 0 && out.numel())
            fail(ErrorKind::Runtime,
                 "unsupported operation: more than one element of the written-to tensor refers to a single memory "
                 "location. "
                 "Please clone() the tensor before performing the operation.");
}

// One value serves a whole result of shape `sizes`: a tensor of one element, or one element expanded.
static bool one_value(const TensorImpl& t, IntSpan sizes) {
    if (t.numel == 1) return t.sizes.size() <= sizes.size();
    return same(t.sizes, sizes) && std::all_of(t.strides.begin(), t.strides.end(), [](int64_t s) { return s == 0; });
}

Dims strides_as(std::span<const TensorImpl* const> operands, IntSpan shape) {
    const size_t dims = shape.size();
    const auto stride = [&](const TensorImpl& t, size_t d) -> int64_t {
        const size_t missing = dims - t.sizes.size();
        return d < missing || (t.sizes[d - missing] == 1 && shape[d] != 1) ? 0 : t.strides[d - missing];
    };
    const auto slower = [&](size_t a, size_t b) {  // 1: a is to lie outside of b
        for (const TensorImpl* t : operands) {
            const int64_t x = stride(*t, a), y = stride(*t, b);
            if (x == 0 || y == 0) continue;
            if (x != y) return x > y ? 1 : -1;
            if (shape[a] > shape[b]) return 1;
        }
        return 0;
    };
    Small<size_t, 6> order;  // innermost first
    for (size_t d = dims; d-- > 0;) order.push_back(d);
    for (size_t i = 1; i < dims; ++i)
        for (size_t at = i, k = i; k-- > 0;) {
            const int way = slower(order[k], order[at]);
            if (way < 0) break;
            if (way == 0) continue;
            std::swap(order[k], order[at]);
            at = k;
        }
    Dims strides(shape);
    int64_t step = 1;
    for (const size_t d : order) {
        strides[d] = step;
        step *= std::max<int64_t>(shape[d], 1);
    }
    return strides;
}
static Tensor laid_out_as(std::span<const TensorImpl* const> operands, IntSpan shape, DType type, Device device) {
    if (std::all_of(operands.begin(), operands.end(), [](const TensorImpl* t) { return t->contiguous; }))
        return empty(shape, type, device);
    if (operands.size() == 1) return empty_like(Tensor(const_cast<TensorImpl*>(operands[0])), type);
    return empty_strided(shape, strides_as(operands, shape), type, device);
}

Tensor elementwise(Loop loop, DType common, DType out_type, std::span<const Operand> inputs, const Out& out,
                   const void* params, int64_t grain) {
    const int n = int(inputs.size());
    Ready ready[kMaxOperands];
    const TensorImpl* first = nullptr;  // a contiguous operand with the most elements
    Device device = kCPU;
    bool dims = false, hidden = false;
    for (const Operand& o : inputs) {
        if (!o.is_tensor()) continue;
        dims = dims || o.tensor().dim() > 0;
        hidden = hidden || o.tensor()->storage->image();
    }
    if (hidden && common == DType::f32 && out_type == DType::f32)
        if (Tensor r = elementwise_hidden(loop, inputs, out, params, grain); r.defined()) return r;
    for (int i = 0; i < n; ++i) {
        prepare(ready[i], inputs[size_t(i)], common, dims);
        if (inputs[size_t(i)].is_tensor()) {
            const TensorImpl* t = inputs[size_t(i)].tensor().get();
            if (t->device().type == DeviceType::Meta) device = kMeta;
        }
        const TensorImpl* t = ready[i].t;
        if (!t || !t->contiguous) continue;
        if (!first || t->numel > first->numel || (t->numel == first->numel && t->sizes.size() > first->sizes.size()))
            first = t;
    }
    const Tensor* given = out.given();
    bool plain = first != nullptr;  // every operand lies like the result, or is one value
    bool step[kMaxOperands];
    for (int i = 0; plain && i < n; ++i) {
        const TensorImpl* t = ready[i].t;
        step[i] = t && (t == first || (t->contiguous && same(t->sizes, first->sizes)));
        if (t && !step[i]) plain = one_value(*t, first->sizes);
    }
    if (plain && given) {
        const TensorImpl* g = given->get();
        plain = g->contiguous && g->dtype == out_type && g->device() == device && same(g->sizes, first->sizes);
        for (int i = 0; plain && i < n; ++i)
            if (const TensorImpl* t = ready[i].t; t && t != g)
                plain =
                    t->storage.get() != g->storage.get() || (step[i] && t->offset == g->offset && t->dtype == g->dtype);
    }
    if (plain) {  // by far the most common case
        Tensor r = given ? *given : empty(first->sizes, out_type, device);
        if (device.type == DeviceType::Meta || !first->numel) return r;
        char* p[kMaxOperands];
        int64_t st[kMaxOperands];
        p[0] = static_cast<char*>(r->data());
        st[0] = int64_t(itemsize(out_type));
        for (int i = 0; i < n; ++i) {
            p[i + 1] = ready[i].t ? static_cast<char*>(ready[i].t->data()) : ready[i].number;
            st[i + 1] = step[i] ? int64_t(itemsize(ready[i].t->dtype)) : 0;
        }
        if (first->numel <= grain || !grain) {
            loop(p, st, first->numel, params);
        } else if (!given && first->numel * st[0] >= kStreamBytes) {
            parallel_for(first->numel, grain,
                         [&](int64_t b, int64_t e) { run_streamed(loop, p, st, n + 1, b, e, params); });
        } else {
            parallel_for(first->numel, grain, [&](int64_t b, int64_t e) {
                char* q[kMaxOperands];
                for (int k = 0; k <= n; ++k) q[k] = p[k] + b * st[k];
                loop(q, st, e - b, params);
            });
        }
        return r;
    }
    Dims shape;
    for (int i = 0; i < n; ++i)
        if (inputs[size_t(i)].is_tensor())
            shape = shape.empty() && i == 0 ? inputs[size_t(i)].tensor().sizes()
                                            : broadcast_shapes(shape, inputs[size_t(i)].tensor().sizes());
    Tensor r;
    if (given) {
        r = out.result(shape, out_type, device);
        if (r.get() == given->get()) {
            check_writable(r);
            for (int i = 0; i < n; ++i) {
                if (!ready[i].t || ready[i].tensor.defined()) continue;
                const Tensor& t = inputs[size_t(i)].tensor();
                if (memory_overlaps(r, t) && !same_elements(r, t)) {
                    // Strided views may interleave without a common element (x[:, 2:] -= x[:, :2]): those are read
                    // first.
                    if (out.inplace() && is_non_overlapping_and_dense(r.sizes(), r.strides()) &&
                        is_non_overlapping_and_dense(t.sizes(), t.strides()))
                        fail(ErrorKind::Runtime,
                             "unsupported operation: some elements of the input tensor and the written-to tensor refer "
                             "to a "
                             "single memory location. Please clone() the tensor before performing the operation.");
                    ready[i].tensor = convert(t, common);
                    ready[i].t = ready[i].tensor.get();
                }
            }
        }
    } else {
        const TensorImpl* operands[kMaxOperands];
        int tensors = 0;
        for (int i = 0; i < n; ++i)
            if (ready[i].t) operands[tensors++] = ready[i].t;
        r = laid_out_as(std::span(operands, size_t(tensors)), shape, out_type, device);
    }
    if (r.is_meta() || !r.numel()) return r;
    Strided ops[kMaxOperands];
    ops[0].ptr = static_cast<char*>(r->data());
    ops[0].item = int(itemsize(out_type));
    byte_strides(ops[0].strides, r.sizes(), r.strides(), shape, int64_t(itemsize(out_type)));
    for (int i = 0; i < n; ++i) {
        if (const TensorImpl* t = ready[i].t) {
            ops[i + 1].ptr = static_cast<char*>(t->data());
            ops[i + 1].item = int(itemsize(t->dtype));
            byte_strides(ops[i + 1].strides, t->sizes, t->strides, shape, int64_t(itemsize(t->dtype)));
        } else {
            ops[i + 1].ptr = ready[i].number;
            ops[i + 1].strides.resize(shape.size(), 0);
        }
    }
    run_loop(loop, shape, std::span(ops, size_t(n + 1)), params, grain);
    return r;
}

void no_kernel(const char* name, DType t) {
    fail(ErrorKind::NotImplemented, '"', name, "\" not implemented for '", scalar_name(t), "'");
}

// Bytes of the parameters of an operation, as pointwise.h lists them.
static int parameter_bytes(Unary op, DType t) {
    switch (op) {
        case Unary::nan_to_num:
        case Unary::elu: return 24;
        case Unary::hardtanh:
        case Unary::threshold:
        case Unary::softplus: return 16;
        case Unary::pow_scalar: return is_complex(t) ? 16 : 8;
        default: return 8;
    }
}
static int parameter_bytes(Binary op, DType t) {
    switch (op) {
        case Binary::elu_backward:
        case Binary::elu_backward_from_output: return 24;
        case Binary::hardtanh_backward:
        case Binary::softplus_backward: return 16;
        case Binary::add_scaled:
        case Binary::sub_scaled: return is_low_precision(t) ? 4 : int(itemsize(t));
        default: return 8;
    }
}
static int parameter_bytes(Ternary op, DType t) {
    if (op == Ternary::lerp) return 4;
    return op == Ternary::addcmul || op == Ternary::addcdiv ? is_low_precision(t) ? 4 : int(itemsize(t)) : 8;
}

// The pass itself; a trace is told.
template <class Operation>
static Tensor pass(Operation op, Loop loop, DType common, DType result, std::span<const Operand> in, const Out& out,
                   const void* params, int64_t grain) {
    Tensor r = elementwise(loop, common, result, in, out, params, grain);
    if (watcher) [[unlikely]]
        watcher->pointwise({loop, common, result, in, params, params ? parameter_bytes(op, common) : 0}, r);
    return r;
}

Tensor unary(Unary op, const char* name, const Tensor& x, DType compute, const Out& out, const void* params) {
    const Loop loop = unary_loop(op, compute);
    if (!loop) no_kernel(name, compute);
    const Operand in[] = {x};
    return pass(op, loop, compute, unary_out(op, compute), in, out, params, op >= Unary::sqrt ? 4096 : 32768);
}

Tensor binary(Binary op, const char* name, const Operand& a, const Operand& b, DType common, const Out& out,
              const void* params) {
    const Loop loop = binary_loop(op, common);
    if (!loop) [[unlikely]] {  // shapes are looked at before types
        if (a.is_tensor() && b.is_tensor()) (void)broadcast_shapes(a.tensor().sizes(), b.tensor().sizes());
        no_kernel(name, common);
    }
    const Operand in[] = {a, b};
    return pass(op, loop, common, binary_out(op, common), in, out, params, 32768);
}

Tensor ternary(Ternary op, const char* name, const Operand& a, const Operand& b, const Operand& c, DType common,
               const Out& out, const void* params) {
    const Loop loop = ternary_loop(op, common);
    if (!loop) no_kernel(name, common);
    const Operand in[] = {a, b, c};
    return pass(op, loop, common, common, in, out, params, 32768);
}

// ---------------------------------------------------------------- copies
// With views that are conjugated or negated: the bytes, then in place what they differ by.
static void copy_lazy(const Tensor& to, const Tensor& from) {
    const auto raw = [](const Tensor& t) {
        Tensor r = make_view(t, t.sizes(), t.strides(), t->offset);
        r->conj = r->neg = false;
        return r;
    };
    const Tensor a = raw(to), b = raw(from);
    if (!to->lazy() && !from->neg && is_complex(to.dtype()) && to.dtype() == from.dtype() &&
        same(to.sizes(), from.sizes()) && !memory_overlaps(to, from))
        if (const Loop conjugated = unary_loop(Unary::conj, to.dtype())) {  // in one pass
            Strided ops[2];
            const int64_t item = int64_t(itemsize(to.dtype()));
            for (int k = 0; k < 2; ++k) {
                const Tensor& t = k ? b : a;
                ops[k].ptr = static_cast<char*>(t->data());
                byte_strides(ops[k].strides, t.sizes(), t.strides(), t.sizes(), item);
                ops[k].item = int(item);
            }
            return run_loop(conjugated, a.sizes(), ops, nullptr);
        }
    // What overlaps differently than it is read goes through a copy of its own.
    if (memory_overlaps(a, b) && (to->conj != from->conj || to->neg != from->neg)) {
        const Tensor apart = empty(from.sizes(), from.dtype());
        copy_lazy(apart, from);
        return copy_lazy(to, apart);
    }
    const Tensor target = a.dtype() == DType::c32 ? empty(a.sizes(), DType::c64) : a;  // half has no loops
    copy_data(target, b);
    const auto apply = [&](Unary op) {
        char* const p = static_cast<char*>(target->data());
        Strided ops[2];
        for (Strided& o : ops) {
            o.ptr = p;
            byte_strides(o.strides, target.sizes(), target.strides(), target.sizes(),
                         int64_t(itemsize(target.dtype())));
        }
        run_loop(unary_loop(op, target.dtype()), target.sizes(), ops, nullptr);
    };
    if (to->conj != from->conj && is_complex(to.dtype()) && is_complex(from.dtype())) apply(Unary::conj);
    if (to->neg != from->neg) apply(Unary::neg);
    if (target.get() != a.get()) copy_data(a, target);
}

void copy_data(const Tensor& to, const Tensor& from) {
    if (to.is_meta() || from.is_meta() || !to.numel()) return;
    if (to->lazy() || from->lazy()) return copy_lazy(to, from);
    Tensor source = from;
    if (memory_overlaps(to, from)) {
        if (same_elements(to, from)) return;
        source = convert(from, from.dtype());
    }
    const int64_t a = int64_t(itemsize(to.dtype())), b = int64_t(itemsize(source.dtype()));
    const Loop loop = convert_loop(source.dtype(), to.dtype());
    if (!loop)
        no_kernel(to.dtype() == DType::f4x2 && source.dtype() == DType::f32 ? "copy_kernel" : "copy_",
                  to.dtype() == DType::f4x2 ? to.dtype() : source.dtype());
    if (to->contiguous && source->contiguous && same(to.sizes(), source.sizes())) {
        char* p[2] = {static_cast<char*>(to->data()), static_cast<char*>(source->data())};
        parallel_for(to.numel(), 65536, [&](int64_t begin, int64_t end) {
            char* q[2] = {p[0] + begin * a, p[1] + begin * b};
            if (to.dtype() == source.dtype()) {
                copy_bytes(q[0], q[1], (end - begin) * a);
                return;
            }
            const int64_t st[2] = {a, b};
            loop(q, st, end - begin, nullptr);
        });
        return;
    }
    const Dims shape = broadcast_shapes(to.sizes(), source.sizes());
    if (!same(shape, to.sizes()))
        fail(ErrorKind::Runtime, "output with shape ", to.sizes(), " doesn't match the broadcast shape ", shape);
    Strided ops[2];
    ops[0].ptr = static_cast<char*>(to->data());
    ops[1].item = int(b);
    byte_strides(ops[0].strides, to.sizes(), to.strides(), shape, a);
    ops[1].ptr = static_cast<char*>(source->data());
    byte_strides(ops[1].strides, source.sizes(), source.strides(), shape, b);
    if (to.dtype() == source.dtype() && copy_elements(shape, ops[0].ptr, ops[0].strides, ops[1].ptr, ops[1].strides, a))
        return;
    run_loop(loop, shape, ops, nullptr);
}

Tensor convert(const Tensor& t, DType dtype) {
    Tensor r = empty_like(t, dtype);
    copy_data(r, t);
    if (watcher) [[unlikely]] {
        const Operand in[] = {t};
        watcher->pointwise({convert_loop(t.dtype(), dtype), t.dtype(), dtype, in}, r);
    }
    return r;
}

Tensor dense(const Tensor& t) {
    if (t->contiguous) return t;
    Tensor r = empty(t.sizes(), t.dtype(), t.device());
    copy_data(r, t);
    return r;
}

void fill(const Tensor& t, const Scalar& v) {
    if (t.is_meta() || !t.numel()) return;  // writing one value to the same place twice does no harm
    if (t->contiguous && v.is_zero() && !(v.is_float() && std::signbit(v.d))) {
        char* p = static_cast<char*>(t->data());
        const int64_t bytes = t.numel() * int64_t(itemsize(t.dtype()));
        parallel_for(bytes, 1 << 18, [&](int64_t b, int64_t e) { std::memset(p + b, 0, size_t(e - b)); });
        return;
    }
    if (t.dtype() == DType::f4x2) no_kernel(t.numel() == 1 ? "fill_out" : "fill_cpu", t.dtype());
    alignas(16) char number[16];
    if (t.dtype() == DType::c32) {
        const C128 c = v.complex();
        const F16 x[] = {F16(float(c.re)), F16(float(c.im))};
        std::memcpy(number, x, sizeof x);
    } else {
        visit_number(t.dtype(), [&](auto z) {
            const auto x = v.to<decltype(z)>();
            std::memcpy(number, &x, sizeof x);
        });
    }
    Strided ops[2];
    ops[0].ptr = static_cast<char*>(t->data());
    byte_strides(ops[0].strides, t.sizes(), t.strides(), t.sizes(), int64_t(itemsize(t.dtype())));
    ops[1].ptr = number;
    ops[1].strides.resize(t.sizes().size(), 0);
    run_loop(convert_loop(t.dtype(), t.dtype()), t.sizes(), ops, nullptr);
}

}  // namespace fb::cpu
