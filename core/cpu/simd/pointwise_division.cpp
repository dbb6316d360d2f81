// Division of whole numbers. A quotient of numbers below 2^50 (2^24) is never rounded across a whole number in double
// (float), so the vector division of those serves; 64-bit numbers beyond it are divided one by one.
#include <type_traits>

#include "cpu/simd/loop.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <class T, Binary op>
T divide_one(T a, T b) {
    constexpr bool quotient = op == Binary::floor_div || op == Binary::trunc_div;
    if (b == 0) return 0;  // the caller has asked any_zero
    if (T(b + 1) == 0 && T(-1) < T(0)) return quotient ? T(-a) : T(0);
    const T q = T(a / b), r = T(a - q * b);
    const bool below = r != 0 && (r < 0) != (b < 0);
    if constexpr (op == Binary::floor_div) return T(q - below);
    else if constexpr (op == Binary::trunc_div) return q;
    else return op == Binary::remainder && below ? T(r + b) : r;
}

template <Binary op, class V>
V divide(V a, V b) {
    b = b == V{} ? splat<V>(1) : b;
    const V ratio = a / b, q = op == Binary::floor_div || op == Binary::remainder ? floor(ratio) : trunc(ratio);
    if constexpr (op == Binary::floor_div || op == Binary::trunc_div) return q;
    else return a - q * b;
}

// A whole number below 2^51 (here: 2^50, and so are quotients), added to 1.5·2^52, stands in the low bits of the
// double.
constexpr double kShift = 6755399441055744.0;
constexpr int64_t kShiftBits = 0x4338000000000000, kReach = int64_t(1) << 50;
using Longs = Vec<int64_t>;
inline D from_longs(Longs v) { return bitcast<D>(v + kShiftBits) - kShift; }
inline Longs to_longs(D v) { return bitcast<Longs>(v + kShift) - kShiftBits; }

template <class T, Binary op>
void division(char* out, const char* const* in, int64_t n, const void*) {
    using R = std::conditional_t<sizeof(T) <= 2, float, double>;
    constexpr int step = kLanes<R>;
    using Elements = typename VecOf<T, step* int(sizeof(T))>::type;
    const char *pa = in[0], *pb = in[1];
    for (int64_t i = 0; i < n; i += step) {
        T *to = reinterpret_cast<T*>(out) + i, rest[step] = {};
        const T *a = reinterpret_cast<const T*>(pa) + i, *b = reinterpret_cast<const T*>(pb) + i;
        const int64_t now = n - i < step ? n - i : step;
        T rest_a[step], rest_b[step];
        if (now < step) {
            for (int64_t k = 0; k < step; k++) rest_a[k] = k < now ? a[k] : T(0), rest_b[k] = k < now ? b[k] : T(1);
            a = rest_a, b = rest_b, to = rest;
        }
        const Elements x = load<Elements>(a), y = load<Elements>(b);
        if constexpr (sizeof(T) <= 2) {
            // Through 16 bits: GCC takes bytes apart one by one otherwise.
            using Shorts = typename VecOf<std::conditional_t<(T(-1) < T(0)), int16_t, uint16_t>, step * 2>::type;
            const auto wide = [](Elements e) {
                const auto whole = __builtin_convertvector(__builtin_convertvector(e, Shorts), Vec<int32_t>);
                return __builtin_convertvector(whole, F);
            };
            const auto q = __builtin_convertvector(divide<op>(wide(x), wide(y)), Vec<int32_t>);
            store(to, __builtin_convertvector(__builtin_convertvector(q, Shorts), Elements));
        } else if constexpr (sizeof(T) == 4) {
            const auto wide = [](Elements e) {
                if constexpr (T(-1) < T(0)) return __builtin_convertvector(e, D);
                else return from_longs(__builtin_convertvector(e, Longs));
            };
            store(to, __builtin_convertvector(to_longs(divide<op>(wide(x), wide(y))), Elements));
        } else {
            const Vec<uint64_t> far_x = Vec<uint64_t>(x) + uint64_t(kReach),
                                far_y = Vec<uint64_t>(y) + uint64_t(kReach);
            if (any(Longs((far_x | far_y) >> 51) != 0)) [[unlikely]] {
                for (int64_t k = 0; k < step; k++) to[k] = divide_one<T, op>(a[k], b[k]);
            } else {
                store(to, Elements(to_longs(divide<op>(from_longs(Longs(x)), from_longs(Longs(y))))));
            }
        }
        if (now < step) __builtin_memcpy(reinterpret_cast<T*>(out) + i, rest, size_t(now) * sizeof(T));
    }
}

template <Binary op, class Tab, class... T>
constexpr void put(Tab& t, Types<T...>) {
    (t.put(op, kType<T>, loop<division<T, op>, T, T, T>), ...);
}

constexpr auto divisions() {
    Table<32> t;
    put<Binary::floor_div>(t, Ints{});
    put<Binary::trunc_div>(t, Ints{});
    put<Binary::remainder>(t, Ints{});
    put<Binary::fmod>(t, Ints{});
    return t;
}
constexpr auto all = divisions();
}  // namespace

extern const Entries binary_division;
constexpr Entries binary_division{all.entry, all.count};

}  // namespace fb::cpu::FB_ARCH
