"""Minimax polynomials for the kernels in core/cpu (needs mpmath): prints coefficients, lowest power first.

Remez exchange with relative weights; coefficients are rounded to the target type one after another, lowest first, and
the others fitted again.
"""
import struct
import sys

import mpmath as mp

mp.mp.dps = 50


def rounded(c, bits):
    """The nearest float32 or float64 to c."""
    return mp.mpf(float(c)) if bits == 64 else mp.mpf(struct.unpack("f", struct.pack("f", float(c)))[0])


def remez(g, w, lo, hi, powers, rounds=8, grid=1200):
    """Coefficients of the powers that minimise max |w(x) (g(x) - p(x))| on [lo, hi], and that maximum."""
    m = len(powers)
    mid, rad = (lo + hi) / 2, (hi - lo) / 2
    nodes = [mid - rad * mp.cos(mp.pi * k / m) for k in range(m + 1)]
    points = [mid - rad * mp.cos(mp.pi * k / grid) for k in range(grid + 1)]
    values = [(g(x), w(x)) for x in points]
    for _ in range(rounds):
        a = mp.matrix(m + 1, m + 1)
        b = mp.matrix(m + 1, 1)
        for i, x in enumerate(nodes):
            for j, e in enumerate(powers):
                a[i, j] = x**e
            a[i, m] = (-1) ** i / w(x)
            b[i] = g(x)
        sol = mp.lu_solve(a, b)
        coef = [sol[j] for j in range(m)]
        err = [v[1] * (v[0] - sum(c * x**e for c, e in zip(coef, powers))) for x, v in zip(points, values)]
        # one extremum for each run of equal sign
        best, cur = [], 0
        for i in range(1, len(err)):
            if (err[i] > 0) != (err[cur] > 0):
                best.append(cur)
                cur = i
            elif abs(err[i]) > abs(err[cur]):
                cur = i
        best.append(cur)
        while len(best) > m + 1:
            best.pop(0 if abs(err[best[0]]) < abs(err[best[-1]]) else -1)
        if len(best) < m + 1:
            break
        nodes = [points[i] for i in best]
    return coef, max(abs(e) for e in err)


def fit(name, g, w, lo, hi, degree, bits, fixed=2):
    """Fits and prints; the first `fixed` coefficients are rounded before the rest is fitted again."""
    lo, hi = mp.mpf(lo), mp.mpf(hi)
    powers = list(range(degree + 1))
    done = []
    _, ideal = remez(g, w, lo, hi, powers)
    for k in range(min(fixed, degree)):
        rest = powers[k:]
        coef, _ = remez(lambda x, d=tuple(done): g(x) - sum(c * x**i for i, c in enumerate(d)), w, lo, hi, rest)
        done.append(rounded(coef[0], bits))
    rest = powers[len(done):]
    coef, err = remez(lambda x: g(x) - sum(c * x**i for i, c in enumerate(done)), w, lo, hi, rest)
    done += [rounded(c, bits) for c in coef]
    suffix = "f" if bits == 32 else ""
    print(f"// {name}: error 2^{float(mp.log(err, 2)):.1f} (ideal 2^{float(mp.log(ideal, 2)):.1f})")
    print("    " + ", ".join((f"{float(c):.9g}" if bits == 32 else f"{float(c):.17g}") + suffix for c in done), flush=True)


def series(f, x0, order):
    """g(x) = (f(x) - its Taylor terms below `order`) / x**order, accurate near 0 too."""
    terms = mp.taylor(f, 0, order + 30)

    def g(x):
        if abs(x) < mp.mpf("0.02"):
            return sum(t * x**i for i, t in enumerate(terms[order:]))
        return (f(x) - sum(t * x**i for i, t in enumerate(terms[:order]))) / x**order
    return g


def odd(f):
    """h(u) with f(x) = x + x^3 h(x^2)."""
    g = series(f, 0, 3)
    return lambda u: g(mp.sqrt(u))


def even(f, order):
    """h(u) with f(x) = Taylor terms below `order` + x^order h(x^2)."""
    g = series(f, 0, order)
    return lambda u: g(mp.sqrt(u))


L = mp.log(2) / 2 * mp.mpf("1.0001")
P4 = mp.pi / 4 * mp.mpf("1.0001")
SQ = mp.sqrt(mp.mpf(2))
erf_small = mp.mpf(1)

JOBS = {}
for b, d in ((32, 4), (64, 9)):
    JOBS[f"exp{b}"] = lambda b=b, d=d: fit(f"exp {b}", series(mp.exp, 0, 2), lambda x: x**2 / mp.exp(x) + mp.mpf(10) ** -3, -L, L, d, b)
for b, d in ((32, 5), (64, 10)):
    # expm1 needs the error relative to r
    JOBS[f"expm1_{b}"] = lambda b=b, d=d: fit(f"expm1 {b}", series(mp.exp, 0, 2), lambda x: abs(x) + mp.mpf(10) ** -3, -L, L, d, b, 0)
JOBS["log32"] = lambda: fit("log 32", series(lambda x: mp.log(1 + x), 0, 3), lambda x: x**2 + mp.mpf(10) ** -3,
                            SQ / 2 - 1, SQ - 1, 7, 32)
# log(1+f), s = f/(2+f): log = 2 atanh(s) = 2s + s R(s^2)
JOBS["log64"] = lambda: fit("log 64", lambda u: (2 * mp.atanh(mp.sqrt(u)) / mp.sqrt(u) - 2) / u if u > mp.mpf(10) ** -12 else mp.mpf(2) / 3 + 2 * u / 5,
                            lambda u: u / 2 + mp.mpf(10) ** -3, 0, (3 - 2 * SQ) ** 2 * mp.mpf("1.0001"), 6, 64)
for b, d in ((32, 2), (64, 5)):
    JOBS[f"sin{b}"] = lambda b=b, d=d: fit(f"sin {b}", odd(mp.sin), lambda u: u + mp.mpf(10) ** -3, 0, P4**2, d, b)
    JOBS[f"cos{b}"] = lambda b=b, d=d: fit(f"cos {b}", even(mp.cos, 4), lambda u: u**2 + mp.mpf(10) ** -3, 0, P4**2, d, b)
JOBS["tanh32"] = lambda: fit("tanh 32", odd(mp.tanh), lambda u: u + mp.mpf(10) ** -3, 0, mp.mpf("0.36"), 4, 32)
JOBS["tanh64"] = lambda: fit("tanh 64", odd(mp.tanh), lambda u: u + mp.mpf(10) ** -3, 0, mp.mpf("0.0625"), 8, 64)
T8 = mp.sqrt(2) - 1
JOBS["atan64"] = lambda: fit("atan 64", odd(mp.atan), lambda u: u + mp.mpf(10) ** -3, 0, T8**2 * mp.mpf("1.0001"), 10, 64)
JOBS["asin64"] = lambda: fit("asin 64", odd(mp.asin), lambda u: u + mp.mpf(10) ** -3, 0, mp.mpf("0.25"), 12, 64)
JOBS["tan64"] = lambda: fit("tan 64", odd(mp.tan), lambda u: u + mp.mpf(10) ** -3, 0, P4**2, 14, 64)
JOBS["atan32"] = lambda: fit("atan 32", odd(mp.atan), lambda u: u + mp.mpf(10) ** -3, 0, T8**2 * mp.mpf("1.0001"), 4, 32)


def erf_table():
    """erf on [k/4, (k+1)/4) as polynomials of degree 5 in the distance from k/4; the first has no constant term."""
    rows = []
    for k in range(16):
        a = mp.mpf(k) / 4
        g, lo, hi = (lambda t, a=a: mp.erf(a + t)), mp.mpf(0), mp.mpf("0.25")
        if k == 0:
            w = lambda t: t / mp.erf(t) if t else mp.mpf("0.886")
            coef, err = remez(lambda t: mp.erf(t) / t if t else 2 / mp.sqrt(mp.pi), w, lo, hi, range(5))
        else:
            coef, err = remez(g, lambda t, a=a: 1 / mp.erf(a + t), lo, hi, range(6))
        coef = ([mp.mpf(0)] if k == 0 else []) + coef
        rows.append([rounded(c, 32) for c in coef])
        print(f"// erf {k}: error 2^{float(mp.log(err, 2)):.1f}")
    for i in range(6):
        print("    {" + ", ".join(f"{float(r[i]):.9g}f" for r in rows) + "},")


JOBS["erf_table"] = erf_table
# erf(x) = x + x h(x^2) on [-1, 1]
def erfh(u):
    x = mp.sqrt(u)
    return mp.erf(x) / x - 1 if x else 2 / mp.sqrt(mp.pi) - 1
JOBS["erf32"] = lambda: fit("erf 32", erfh, lambda u: mp.mpf(1), 0, mp.mpf("0.9216"), 6, 32, 1)
JOBS["erf64"] = lambda: fit("erf 64", erfh, lambda u: mp.mpf(1), 0, mp.mpf("1.0"), 12, 64, 1)
# -log(erfc(x)) on [0.96, 3.92]: erf = 1 - exp(-p)
JOBS["erfl32"] = lambda: fit("erf tail 32", lambda x: -mp.log(mp.erfc(x)), lambda x: mp.erfc(x) / mp.erf(x), mp.mpf("0.95"), mp.mpf("3.95"), 7, 32)
# erfcx(x), x >= 0, t = (x - 2)/(x + 2): (1 + 2x) erfcx(x) as a polynomial of t
def erfcx_t(t):
    x = 2 * (1 + t) / (1 - t)
    f = mp.exp(x * x) * mp.erfc(x) if x < 50 else sum((-1) ** k * mp.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(12)) / (x * mp.sqrt(mp.pi))
    return f * (1 + 2 * x)
JOBS["erfcx64"] = lambda: fit("erfcx 64", erfcx_t, lambda t: 1 / erfcx_t(t), -1, mp.mpf("0.9999999"), 27, 64, 0)

if __name__ == "__main__":
    for name in sys.argv[1:] or JOBS:
        JOBS[name]()
