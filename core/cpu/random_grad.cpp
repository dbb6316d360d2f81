#include "cpu/random_grad.h"

#include <cmath>
#include <limits>

namespace fb::cpu {
namespace {

constexpr int kMostTerms = 1000000;
constexpr double kTiny = 1e-290;

double digamma(double x) {
    double shift = 0;
    for (; x < 10; x += 1) shift -= 1 / x;
    const double z = 1 / (x * x);
    return shift + std::log(x) - 0.5 / x -
           z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132 - z * 691.0 / 32760)))));
}

// A number and its derivative by the parameter.
struct Dual {
    double v, d = 0;
};
Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
Dual operator/(Dual a, Dual b) { return {a.v / b.v, (a.d - a.v / b.v * b.d) / b.v}; }

// A continued fraction b(0) + a(1) / (b(1) + a(2) / (b(2) + …)) by Lentz's method.
template <class A, class B>
Dual continued_fraction(A&& a, B&& b) {
    const auto away_from_zero = [](Dual x) { return std::fabs(x.v) < kTiny ? Dual{kTiny, x.d} : x; };
    Dual f = away_from_zero(b(0)), c = f, d{0};
    for (int i = 1; i < kMostTerms; ++i) {
        d = Dual{1} / away_from_zero(b(i) + a(i) * d);
        c = away_from_zero(b(i) + a(i) / c);
        const Dual step = c * d;
        f = f * step;
        if (!std::isfinite(f.v + f.d)) break;
        if (std::fabs(step.v - 1) < 1e-15 && std::fabs(step.d) < 1e-15 * (1 + std::fabs(f.d / f.v))) break;
    }
    return f;
}

// d log(I)/dp of the regularised incomplete beta function I_x(a, b) times I over the density at x, by p = a
// or p = b; for x below the mean.
double beta_tail_grad(double x, Dual a, Dual b) {
    const Dual one{1}, minus{-1}, two{2}, z{x};
    const auto numerator = [&](int i) {
        if (i == 1) return one;
        const Dual m{double((i - 1) / 2)};
        if (i % 2 == 1) return m * (b + minus * m) * z / ((a + two * m + minus) * (a + two * m));
        return minus * (a + m) * (a + b + m) * z / ((a + two * m) * (a + two * m + one));
    };
    const Dual h = continued_fraction(numerator, [](int i) { return Dual{i ? 1.0 : 0.0}; });
    // I = x^a (1 - x)^b / (a B(a, b)) h, density = x^(a-1) (1 - x)^(b-1) / B(a, b)
    const double total = digamma(a.v + b.v);
    const double log_grad =
        a.d * (std::log(x) - 1 / a.v - digamma(a.v) + total) + b.d * (std::log1p(-x) - digamma(b.v) + total);
    return x * (1 - x) / a.v * (h.v * log_grad + h.d);
}

}  // namespace

double gamma_sample_grad(double alpha, double x) {
    if (!(x > 0)) return 0;
    if (!(alpha > 0) || !std::isfinite(alpha) || !std::isfinite(x)) return std::nan("");
    if (alpha > 1e8) return 1 + (x - alpha) / (2 * alpha);  // nearly normal: x = alpha + z sqrt(alpha)
    if (x <= alpha + 1) {                                   // by the series of the lower incomplete gamma function
        double sum = 0, term = 1 / alpha, psi = digamma(alpha + 1);
        const double log_x = std::log(x);
        for (double k = alpha + 1;; k += 1) {
            const double part = term * (log_x - psi);
            sum += part;
            if (k > x && !(std::fabs(part) > 1e-17 * std::fabs(sum))) break;  // NaN ends it too
            psi += 1 / k;
            term *= x / k;
        }
        return -x * sum;
    }
    // by Legendre's continued fraction of the upper one
    const Dual h =
        continued_fraction([=](int i) { return i == 1 ? Dual{1} : Dual{double(i - 1)} * Dual{alpha - (i - 1), 1}; },
                           [=](int i) { return i == 0 ? Dual{0} : Dual{x + 2 * i - 1 - alpha, -1}; });
    return x * (h.v * (std::log(x) - digamma(alpha)) + h.d);
}

double dirichlet_sample_grad(double x, double alpha, double total) {
    const double beta = total - alpha;
    if (!(x > 0)) return 0;
    if (x >= 1) return 0;
    if (!(alpha > 0 && beta > 0 && std::isfinite(total))) return std::nan("");  // no such distribution
    const double grad = x < (alpha + 1) / (total + 2) ? -beta_tail_grad(x, {alpha, 1}, {beta, 0})
                                                      : beta_tail_grad(1 - x, {beta, 0}, {alpha, 1});
    return grad / (1 - x);
}

}  // namespace fb::cpu
