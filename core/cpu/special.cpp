// Special functions, by series, continued fractions and quadrature in double precision; half and float round the
// result.
#include "cpu/special.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "cpu/strided.h"

namespace fb::special {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kEps = std::numeric_limits<double>::epsilon();
using std::numbers::pi;

// Bernoulli numbers B2, B4, … B24
constexpr double kBernoulli[] = {1.0 / 6,       -1.0 / 30,       1.0 / 42,       -1.0 / 30,
                                 5.0 / 66,      -691.0 / 2730,   7.0 / 6,        -3617.0 / 510,
                                 43867.0 / 798, -174611.0 / 330, 854513.0 / 138, -236364091.0 / 2730};

// x^a e^-x / Γ(a + 1), without the cancellation of the three for large a
double gamma_prefix(double a, double x) {
    if (a < 30) return std::exp(a * std::log(x) - x - std::lgamma(a + 1));
    const double d = (x - a) / a, aa = a * a;
    const double stirling = (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - 1.0 / (1680 * aa)) / aa) / aa) / a;
    return std::exp(a * (std::log1p(d) - d) - stirling) / std::sqrt(2 * pi * a);
}
double gamma_series(double a, double x) {  // P, for x up to about a
    double term = 1, sum = 1;
    for (double k = a + 1; term > kEps * sum * 0.25; k++) {
        term *= x / k;
        sum += term;
    }
    return sum * gamma_prefix(a, x);
}
double gamma_fraction(double a, double x) {  // Q, for x beyond a (Lentz)
    constexpr double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
    for (double i = 1; i < 1e7; i++) {
        const double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        if (std::abs(d) < tiny) d = tiny;
        c = b + an / c;
        if (std::abs(c) < tiny) c = tiny;
        d = 1 / d;
        h *= d * c;
        if (std::abs(d * c - 1) < kEps) break;
    }
    return gamma_prefix(a, x) * a * h;
}
// Temme's uniform expansion for large a (DLMF 8.12.3): the series and the fraction need about sqrt(a) terms near x = a.
double gamma_of_large(double a, double x, bool lower) {
    const double mu = (x - a) / a, far = std::log1p(mu);
    double half = mu - far;  // eta^2 / 2
    if (std::abs(mu) < 0.1) {
        half = 0;
        for (int k = 18; k >= 2; --k) half = half * -mu + 1.0 / k;
        half *= mu * mu;
    }
    const double eta = std::copysign(std::sqrt(2 * half), mu), tail = std::exp(-a * half);
    double rest = 0;
    if (tail > 0 && std::abs(eta) < 1) {  // where it counts, eta is small
        const double c0 = -1.0 / 3 + eta * (1.0 / 12 + eta * (-2.0 / 135 + eta * (1.0 / 864 + eta / 2835))),
                     c1 = -1.0 / 540 + eta * (-1.0 / 288 + eta / 378);
        rest = tail / std::sqrt(2 * pi * a) * (c0 + c1 / a);
    }
    const double side = eta * std::sqrt(a / 2);
    return lower ? 0.5 * std::erfc(-side) - rest : 0.5 * std::erfc(side) + rest;
}
double incomplete_gamma(double a, double x, bool lower) {
    if (a < 0 || x < 0) return kNan;
    double p = -1;  // P where it is plain
    if (a == 0) {
        if (!(x > 0)) return kNan;
        p = 1;
    } else if (x == 0) {
        p = 0;
    } else if (std::isinf(a)) {
        if (std::isinf(x)) return kNan;
        p = 0;
    } else if (std::isinf(x)) {
        p = 1;
    }
    if (p >= 0) return lower ? p : 1 - p;
    if (std::isnan(a) || std::isnan(x)) return kNan;
    if (a > 1e6) return gamma_of_large(a, x, lower);
    if (x <= 1 || x <= a) {
        p = gamma_series(a, x);
        return lower ? p : 1 - p;
    }
    const double q = gamma_fraction(a, x);
    return lower ? 1 - q : q;
}

// y with erfc(y) = q, 0 < q <= 1, by Halley's method
double erfc_inverse(double q) {
    const double l = std::log(q * (2 - q)), t = 2 / (pi * 0.147) + l / 2;  // Winitzki's guess, good to 2e-3
    double y = std::sqrt(std::max(0.0, std::sqrt(t * t - l / 0.147) - t));
    for (int i = 0; i < 8; i++) {
        const double u = (std::erfc(y) - q) / (2 / std::sqrt(pi) * std::exp(-y * y)), step = u / (1 - y * u);
        if (!std::isfinite(step)) break;
        y += step;
        if (std::abs(step) < 1e-11 * y) break;  // the next would be its cube
    }
    return y;
}

// e^z K_nu(z) for z not small: trapezoid rule on ∫ exp(-z (cosh t - 1)) cosh(nu t) dt, which converges faster than any
// power
double bessel_k_scaled(double nu, double z) {
    const double end = std::acosh(1 + 42 / z);
    constexpr int n = 40;
    double sum = 0.5;
    for (int i = 1; i <= n; i++) {
        const double t = end * i / n, s = std::sinh(t / 2);
        sum += std::exp(-2 * z * s * s) * std::cosh(nu * t);
    }
    return sum * end / n;
}
// e^x I_n(x)-like asymptotic series: e^-x I_n(x) for large x
double bessel_i_large(double n, double x) {
    double term = 1, sum = 1;
    for (double k = 1; k < 60; k++) {
        const double odd = 2 * k - 1, next = -term * (4 * n * n - odd * odd) / (8 * k * x);
        if (std::abs(next) > std::abs(term) || std::abs(next) < kEps * 0.1) break;
        sum += term = next;
    }
    return sum / std::sqrt(2 * pi * x);
}

}  // namespace

double digamma(double x) {
    if (x == 0) return std::copysign(kInf, -x);
    if (x == -kInf) return kNan;
    double r = 0;
    if (x < 0) {
        const double f = x - std::round(x);
        if (f == 0) return kNan;
        r = -pi / std::tan(pi * f);
        x = 1 - x;
    }
    for (; x < 10; x++) r -= 1 / x;
    const double w = 1 / (x * x);
    double tail = 0;
    for (int k = 7; k >= 0; k--) tail = (tail + kBernoulli[k] / (2 * (k + 1))) * w;
    return r + std::log(x) - 0.5 / x - (std::isinf(x) ? 0 : tail);
}

double zeta(double s, double q) {
    if (s == 1) return kInf;
    if (s < 1) return kNan;
    if (q <= 0) {
        if (q == std::floor(q)) return kInf;
        if (s != std::floor(s)) return kNan;
    }
    if (std::isnan(s) || std::isnan(q)) return kNan;
    double sum = 0;
    for (int k = 0; k < 12 || q < 12; k++, q++) {
        const double term = std::pow(q, -s);
        sum += term;
        if (q > 0 && term < sum * kEps * 0.01) return sum;
        if (q < -1e7) return kNan;
    }
    // Euler-Maclaurin for the rest
    const double power = std::pow(q, -s);
    sum += power * (q / (s - 1) + 0.5);
    double factor = s, over = power / q, fact = 2;
    for (int j = 0; j < 12; j++) {
        const double term = kBernoulli[j] / fact * factor * over;
        sum += term;
        if (std::abs(term) < kEps * 0.1 * std::abs(sum)) break;
        const double k = 2 * j + 2;
        factor *= (s + k - 1) * (s + k);
        fact *= (k + 1) * (k + 2);
        over /= q * q;
    }
    return sum;
}

double lower_gamma(double a, double x) { return incomplete_gamma(a, x, true); }
double upper_gamma(double a, double x) { return incomplete_gamma(a, x, false); }

double erfinv(double x) {
    const double a = std::abs(x);
    if (!(a < 1)) return a == 1 ? std::copysign(kInf, x) : kNan;
    if (a > 0.5) return std::copysign(erfc_inverse(1 - a), x);
    const double l = std::log1p(-x * x), t = 2 / (pi * 0.147) + l / 2;
    double y = std::copysign(std::sqrt(std::max(0.0, std::sqrt(t * t - l / 0.147) - t)), x);
    if (a < 1e-3) y = x * std::sqrt(pi) / 2 * (1 + pi / 12 * x * x);
    for (int i = 0; i < 2; i++) {
        const double u = (std::erf(y) - x) / (2 / std::sqrt(pi) * std::exp(-y * y));
        y -= u / (1 + y * u);
    }
    return y;
}

double ndtri(double p) {
    if (!(p > 0 && p < 1)) return p == 0 ? -kInf : p == 1 ? kInf : kNan;
    return p < 0.5 ? -std::numbers::sqrt2 * erfc_inverse(2 * p) : std::numbers::sqrt2 * erfinv(2 * p - 1);
}

double i0e(double x) {
    x = std::abs(x);
    if (x > 25) return std::isinf(x) ? 0 : bessel_i_large(0, x);
    const double w = x * x / 4;
    double term = 1, sum = 1;
    for (double k = 1; term > sum * kEps * 0.1; k++) sum += term *= w / (k * k);
    return sum * std::exp(-x);
}
double i1e(double x) {
    const double a = std::abs(x);
    if (a > 25) return std::copysign(std::isinf(a) ? 0 : bessel_i_large(1, a), x);
    const double w = a * a / 4;
    double term = x / 2, sum = term;
    for (double k = 1; std::abs(term) > std::abs(sum) * kEps * 0.1; k++) sum += term *= w / (k * (k + 1));
    return sum * std::exp(-a);
}
double k0e(double x) {
    if (!(x > 0)) return x == 0 ? kInf : kNan;
    if (std::isinf(x)) return 0;
    if (x > 1) return bessel_k_scaled(0, x);
    const double w = x * x / 4, l = -(std::log(x / 2) + std::numbers::egamma);
    double term = 1, harmonic = 0, sum = l;
    for (double k = 1; k < 20; k++) {
        term *= w / (k * k);
        harmonic += 1 / k;
        sum += term * (l + harmonic);
    }
    return sum * std::exp(x);
}
double k1e(double x) {
    if (!(x > 0)) return x == 0 ? kInf : kNan;
    if (std::isinf(x)) return 0;
    if (x > 1) return bessel_k_scaled(1, x);
    // 1/x + ln(x/2) I1(x) - (x/4) Σ (ψ(k+1) + ψ(k+2)) w^k / (k! (k+1)!)
    const double w = x * x / 4, l = std::log(x / 2);
    double term = 1, psi = -2 * std::numbers::egamma + 1, sum = 0;
    for (double k = 0; k < 20; k++) {
        sum += term * (2 * l - psi);
        term *= w / ((k + 1) * (k + 2));
        psi += 1 / (k + 1) + 1 / (k + 2);
    }
    return (1 / x + x / 4 * sum) * std::exp(x);
}

double airy_ai(double x) {
    if (!std::isfinite(x)) return kNan;
    if (x > 104) return 0;
    const double ax = std::abs(x), z = 2.0 / 3 * ax * std::sqrt(ax);
    if (x >= 1) return std::sqrt(x / 3) / pi * std::exp(-z) * bessel_k_scaled(1.0 / 3, z);
    if (x < -8) {  // two asymptotic series under a sine and a cosine
        double term = 1, even = 1, odd = 0;
        for (double k = 1; k < 60; k++) {
            const double next = term * (6 * k - 5) * (6 * k - 3) * (6 * k - 1) / ((2 * k - 1) * 216 * k * z);
            if (next > term || next < kEps * 0.1) break;
            term = next;
            const int j = int(k);
            (j % 2 ? odd : even) += (j / 2) % 2 ? -term : term;
        }
        const double a = z + pi / 4;
        return (std::sin(a) * even - std::cos(a) * odd) / (std::sqrt(pi) * std::sqrt(std::sqrt(ax)));
    }
    // power series; the terms cancel for negative x, hence long double
    const long double c = 0.355028053887817239260063186L, d = 0.258819403792806798405183560L,
                      w = (long double)(x)*x * x;
    long double f = 1, g = x, sum = c - d * g;
    for (int k = 3; k < 200; k += 3) {
        f *= w / ((k - 1) * k);
        g *= w / (k * (k + 1));
        sum += c * f - d * g;
        if (std::abs(f) + std::abs(g) < 1e-22L * std::abs(sum)) break;
    }
    return double(sum);
}

namespace {

// ---- elements: T is float, double or a half type ----
template <class T>
using Compute = std::conditional_t<sizeof(T) == 8, double, float>;

double lgamma(double x) { return std::lgamma(x); }
double i0(double x) { return std::isinf(x) ? kNan : i0e(x) * std::exp(std::abs(x)); }
double i1(double x) { return std::isinf(x) ? kNan : i1e(x) * std::exp(std::abs(x)); }
double k0(double x) { return k0e(x) * (x > 0 ? std::exp(-x) : 1); }
double k1(double x) { return k1e(x) * (x > 0 ? std::exp(-x) : 1); }
double bessel_j0(double x) { return std::isinf(x) ? kNan : ::j0(x); }
double bessel_j1(double x) { return std::isinf(x) ? kNan : ::j1(x); }
double bessel_y0(double x) { return x == 0 ? -kInf : !(x > 0) || std::isinf(x) ? kNan : ::y0(x); }
double bessel_y1(double x) { return x == 0 ? -kInf : !(x > 0) || std::isinf(x) ? kNan : ::y1(x); }
double spherical_j0(double x) {
    if (std::isinf(x)) return 0;
    const double w = x * x;
    return std::abs(x) < 0.1 ? 1 - w / 6 * (1 - w / 20 * (1 - w / 42)) : std::sin(x) / x;
}

// The reflection is in the element's own precision: at a negative integer it gives a large number, as PyTorch does.
template <class T>
double trigamma(T value) {
    using R = Compute<T>;
    double x = R(value), sign = 1, r = 0;
    if (x < 0.5) {
        const double s = std::sin(R(pi) * R(value));
        r = -pi * pi / (s * s);
        x = 1 - x;
        sign = -1;
    }
    for (; x < 12; x++) r += 1 / (x * x);
    const double w = 1 / (x * x);
    double tail = 0;
    for (int k = 7; k >= 0; k--) tail = (tail + kBernoulli[k]) * w;
    return std::isinf(x) ? sign * r : sign * (r + (1 + 0.5 / x + tail) / x);
}
}  // namespace
double trigamma(double x) { return trigamma<double>(x); }
float trigamma(float x) { return float(trigamma<float>(x)); }
namespace {
template <class T>
double polygamma(T x, const void* s) {
    const double n = *static_cast<const double*>(s);
    if (n == 0) return digamma(Compute<T>(x));
    if (n == 1) return trigamma<T>(x);
    return (int64_t(n) % 2 ? 1 : -1) * std::tgamma(n + 1) * zeta(n + 1, Compute<T>(x));
}

// The degree of a polynomial; one that is no number or out of range counts as negative, for which the value is 0.
int64_t degree(double n) { return std::abs(n) < 9e18 ? int64_t(n) : -1; }
// p0 = 1, p1 given, then p(k+1) from p(k), p(k-1); in the element's own precision R, whose overflow is part of the
// answer
template <class R, class Next>
R recur(int64_t n, R p1, Next next) {
    if (n <= 0) return R(n == 0);
    R before = 1, now = p1;
    for (int64_t k = 1; k < n && !std::isnan(now); k++) {
        const R after = next(R(k), now, before);
        before = now, now = after;
    }
    return now;
}
// The four Chebyshev families share the recurrence; inside (-1, 1) their trigonometric forms are faster for degrees
// above `plain`. NaN of x stays NaN: PyTorch returns an uninitialised variable for it in most of the polynomials, which
// is as a rule the result of the element before and otherwise differs from run to run.
template <int family, int plain, class R>
R chebyshev(R x, R degrees) {
    const int64_t n = degree(degrees);
    if (n < 0) return 0;
    const R sign = x > 0 || n % 2 == 0 ? 1 : -1;
    if (std::abs(x) == 1) {
        if (family == 0) return sign;
        if (family == 1) return sign * R(n + 1);
        if (family == 2) return x > 0 ? 1 : sign * R(2 * n + 1);
        return x > 0 ? R(2 * n + 1) : sign;
    }
    if (n > plain && std::abs(x) < 1) {
        const R t = std::acos(x), m = R(n), whole = std::sin(t), half = family == 2 ? std::cos(t / 2) : std::sin(t / 2);
        if (family == 0) return std::cos(m * t);
        if (family == 1 && whole != 0) return std::sin((m + 1) * t) / whole;
        if (family == 2 && half != 0) return std::cos((m + R(0.5)) * t) / half;
        if (family == 3 && half != 0) return std::sin((m + R(0.5)) * t) / half;
    }
    const R p1 = family == 0 ? x : family == 1 ? x + x : family == 2 ? x + x - 1 : x + x + 1;
    return recur(n, p1, [x](R, R p, R q) { return (x + x) * p - q; });
}
template <int family, class R>
R shifted_chebyshev(R x, R n) {
    return chebyshev<family, 6>(R(x + x - 1), n);
}
template <class R>
R hermite_h(R x, R n) {
    return recur(degree(n), R(x + x), [x](R k, R p, R q) { return x * p * 2 - 2 * k * q; });
}
template <class R>
R hermite_he(R x, R n) {
    return recur(degree(n), x, [x](R k, R p, R q) { return x * p - k * q; });
}
// Above this degree a recurrence takes long, and its rounding errors are larger than the error of an asymptotic form.
constexpr int64_t kAsymptoticDegree = 1 << 20;
// Where the form runs out of range, the recurrence has taken infinity from infinity.
template <class R>
R in_range(double value) {
    const R r = R(value);
    return std::isfinite(r) ? r : std::numeric_limits<R>::quiet_NaN();
}
template <class R>
R laguerre_l(R x, R degrees) {
    const int64_t n = degree(degrees);
    if (x == 0) return R(n >= 0);
    if (n > kAsymptoticDegree) {  // Erdelyi's form, DLMF 18.15.19
        const double order = 4 * double(n) + 2, z = std::abs(double(x)) / order;
        if (!(z < 1)) return std::numeric_limits<R>::quiet_NaN();
        const double s = std::sqrt(z), w = x > 0 ? 1 - z : 1 + z,
                     xi = (std::sqrt(z * w) + (x > 0 ? std::asin(s) : std::asinh(s))) / 2;
        const double wave = x > 0 ? ::j0(order * xi) : i0(order * xi);
        return in_range<R>(std::exp(double(x) / 2) * std::sqrt(xi / std::sqrt(z * w)) * wave);
    }
    return recur(n, R(1 - x), [x](R k, R p, R q) { return (((k + k) + (1 - x)) * p - k * q) / (k + 1); });
}
template <class R>
R legendre_p(R x, R degrees) {
    const int64_t n = degree(degrees);
    if (n > 1 && std::abs(x) == 1) return x < 0 && n % 2 ? -1 : 1;
    if (n > kAsymptoticDegree) {  // Hilb's form with its first correction, DLMF 18.15.11
        const double a = std::abs(double(x)), order = double(n) + 0.5, sign = x < 0 && n % 2 ? -1 : 1;
        const double h = std::sqrt(std::abs(1 - a) / 2), t = a < 1 ? 2 * std::asin(h) : 2 * std::asinh(h);
        if (!(a < 1)) return in_range<R>(sign * std::sqrt(t / std::sinh(t)) * i0(order * t));
        const double correction = t < 1e-3 ? t / 24 : (1 - t / std::tan(t)) / (8 * t);
        return R(sign * std::sqrt(t / std::sin(t)) * (::j0(order * t) - correction / order * ::j1(order * t)));
    }
    return recur(n, x, [x](R k, R p, R q) { return ((k + k + 1) * x * p - k * q) / (k + 1); });
}

template <class T>
T nextafter(T a, T b) {
    if constexpr (sizeof(T) > 2) {
        return std::nextafter(a, b);
    } else {
        const float x = a, y = b;
        if (std::isnan(x) || std::isnan(y)) return T(x + y);
        if (x == y) return b;
        if (x == 0) {
            T tiny;
            tiny.bits = uint16_t(std::signbit(y) ? 0x8001 : 1);
            return tiny;
        }
        a.bits = uint16_t(a.bits + ((y > x) == (x > 0) ? 1 : -1));
        return a;
    }
}

}  // namespace
}  // namespace fb::special

namespace fb::cpu {
namespace {
using namespace special;

template <double (*f)(double), class T>
T in_double(T x) {
    return T(Compute<T>(f(Compute<T>(x))));
}
template <double (*f)(double, double), class T>
T in_double(T x, T y) {
    return T(Compute<T>(f(Compute<T>(x), Compute<T>(y))));
}
template <class R, R (*f)(R, R), class T>  // (clang does not take a lambda for it)
T in_type(T x, T n) {
    return T(f(R(x), R(n)));
}

template <class T, class Tab>
constexpr void fill(Tab& t) {
    constexpr DType type = dtype_of<T>::value;
    auto put1 = [&]<double (*f)(double)>(Unary op) { t.put(op, type, strided<in_double<f, T>, T, T>); };
    auto put2 = [&]<double (*f)(double, double)>(Binary op) { t.put(op, type, strided<in_double<f, T>, T, T, T>); };
    put1.template operator()<erfinv>(Unary::erfinv);
    put1.template operator()<digamma>(Unary::digamma);
    put1.template operator()<special::lgamma>(Unary::lgamma);
    put1.template operator()<i0>(Unary::i0);
    put1.template operator()<special::i0e>(Unary::i0e);
    put1.template operator()<i1>(Unary::i1);
    put1.template operator()<special::i1e>(Unary::i1e);
    put1.template operator()<ndtri>(Unary::ndtri);
    put1.template operator()<bessel_j0>(Unary::bessel_j0);
    put1.template operator()<bessel_j1>(Unary::bessel_j1);
    put1.template operator()<bessel_y0>(Unary::bessel_y0);
    put1.template operator()<bessel_y1>(Unary::bessel_y1);
    put1.template operator()<k0>(Unary::modified_bessel_k0);
    put1.template operator()<k1>(Unary::modified_bessel_k1);
    put1.template operator()<k0e>(Unary::scaled_modified_bessel_k0);
    put1.template operator()<k1e>(Unary::scaled_modified_bessel_k1);
    put1.template operator()<spherical_j0>(Unary::spherical_bessel_j0);
    put1.template operator()<airy_ai>(Unary::airy_ai);
    t.put(Unary::trigamma, type, strided<[](T x) { return T(Compute<T>(trigamma<T>(x))); }, T, T>);
    t.put(Unary::polygamma, type, strided<[](T x, const void* s) { return T(Compute<T>(polygamma(x, s))); }, T, T>);
    put2.template operator()<zeta>(Binary::zeta);
    put2.template operator()<lower_gamma>(Binary::igamma);
    put2.template operator()<upper_gamma>(Binary::igammac);
    using R = Compute<T>;
    auto own = [&]<R (*f)(R, R)>(Binary op) { t.put(op, type, strided<in_type<R, f, T>, T, T, T>); };
    own.template operator()<chebyshev<0, 6, R>>(Binary::chebyshev_t);
    own.template operator()<chebyshev<1, 8, R>>(Binary::chebyshev_u);
    own.template operator()<chebyshev<2, 8, R>>(Binary::chebyshev_v);
    own.template operator()<chebyshev<3, 8, R>>(Binary::chebyshev_w);
    own.template operator()<shifted_chebyshev<0, R>>(Binary::shifted_chebyshev_t);
    own.template operator()<shifted_chebyshev<1, R>>(Binary::shifted_chebyshev_u);
    own.template operator()<shifted_chebyshev<2, R>>(Binary::shifted_chebyshev_v);
    own.template operator()<shifted_chebyshev<3, R>>(Binary::shifted_chebyshev_w);
    own.template operator()<hermite_h<R>>(Binary::hermite_h);
    own.template operator()<hermite_he<R>>(Binary::hermite_he);
    own.template operator()<laguerre_l<R>>(Binary::laguerre_l);
    own.template operator()<legendre_p<R>>(Binary::legendre_p);
    t.put(Binary::nextafter, type, strided<[](T a, T b) { return special::nextafter(a, b); }, T, T, T>);
}

constexpr auto make() {
    Table<180> t;
    fill<float>(t);
    fill<double>(t);
    fill<F16>(t);
    fill<BF16>(t);
    return t;
}
constexpr auto table = make();
}  // namespace

extern const Entries special_loops;
constexpr Entries special_loops{table.entry, table.count};

}  // namespace fb::cpu
