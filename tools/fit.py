"""Minimax polynomials for the kernels in core/cpu (needs mpmath): prints coefficients, lowest power first.

Remez exchange with relative weights; coefficients are rounded to the target type one after another,
    lowest first, and
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
        coef, _ = remez(
            lambda x, d=tuple(done): g(x) - sum(c * x**i for i, c in enumerate(d)), w, lo, hi, rest
        )
        done.append(rounded(coef[0], bits))
    rest = powers[len(done) :]
    coef, err = remez(lambda x: g(x) - sum(c * x**i for i, c in enumerate(done)), w, lo, hi, rest)
    done += [rounded(c, bits) for c in coef]
    suffix = "f" if bits == 32 else ""
    print(f"// {name}: error 2^{float(mp.log(err, 2)):.1f} (ideal 2^{float(mp.log(ideal, 2)):.1f})")
    digits = 9 if bits == 32 else 17
    print("    " + ", ".join(f"{float(c):.{digits}g}{suffix}" for c in done), flush=True)


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


FLOOR = mp.mpf(10) ** -3  # keeps the weight of 0 away from nothing
LN2 = mp.log(2) / 2 * mp.mpf("1.0001")
QUARTER = (mp.pi / 4 * mp.mpf("1.0001")) ** 2
ROOT = mp.sqrt(mp.mpf(2))
TAN8 = (ROOT - 1) ** 2 * mp.mpf("1.0001")


def by_square(u):
    return u + FLOOR


def exp(bits, degree):
    fit(f"exp {bits}", series(mp.exp, 0, 2), lambda x: x**2 / mp.exp(x) + FLOOR, -LN2, LN2, degree, bits)


def expm1(bits, degree):
    fit(f"expm1 {bits}", series(mp.exp, 0, 2), lambda x: abs(x) + FLOOR, -LN2, LN2, degree, bits, 0)


def log32():
    fit(
        "log 32", series(lambda x: mp.log(1 + x), 0, 3), lambda x: x**2 + FLOOR, ROOT / 2 - 1, ROOT - 1, 7, 32
    )


def log64():
    """log(1 + f) = 2 atanh(s) = 2 s + s u g(u) with s = f / (2 + f), u = s^2."""

    def g(u):
        s = mp.sqrt(u)
        return (2 * mp.atanh(s) / s - 2) / u if u > mp.mpf(10) ** -12 else mp.mpf(2) / 3 + 2 * u / 5

    fit("log 64", g, lambda u: u / 2 + FLOOR, 0, (3 - 2 * ROOT) ** 2 * mp.mpf("1.0001"), 6, 64)


def sin_cos(bits, degree):
    fit(f"sin {bits}", odd(mp.sin), by_square, 0, QUARTER, degree, bits)
    fit(f"cos {bits}", even(mp.cos, 4), lambda u: u**2 + FLOOR, 0, QUARTER, degree, bits)


def erf_small(bits, degree, top):
    """erf(x) = x + x h(x^2)."""

    def h(u):
        x = mp.sqrt(u)
        return mp.erf(x) / x - 1 if x else 2 / mp.sqrt(mp.pi) - 1

    fit(f"erf {bits}", h, lambda u: mp.mpf(1), 0, top, degree, bits, 1)


def erf_tail():
    """-log(erfc(x)): erf is 1 - e^-p."""
    fit("erf tail", lambda x: -mp.log(mp.erfc(x)), lambda x: mp.erfc(x) / mp.erf(x), "0.95", "3.95", 7, 32)


def erf_table():
    """erf on [k/4, (k+1)/4), degree 5 in the distance from k/4; the first has no constant term."""
    rows, limit = [], 2 / mp.sqrt(mp.pi)
    for k in range(16):
        a, top = mp.mpf(k) / 4, mp.mpf("0.25")
        if k == 0:
            coef, err = remez(
                lambda t: mp.erf(t) / t if t else limit,
                lambda t: t / mp.erf(t) if t else 1 / limit,
                mp.mpf(0),
                top,
                range(5),
            )
            coef = [mp.mpf(0), *coef]
        else:
            coef, err = remez(
                lambda t, a=a: mp.erf(a + t), lambda t, a=a: 1 / mp.erf(a + t), mp.mpf(0), top, range(6)
            )
        rows.append([rounded(c, 32) for c in coef])
        print(f"// erf {k}: error 2^{float(mp.log(err, 2)):.1f}")
    for i in range(6):
        print("    {" + ", ".join(f"{float(r[i]):.9g}f" for r in rows) + "},")


def erfcx():
    """(1 + 2x) erfcx(x) as a polynomial of t = (x - 2) / (x + 2), x >= 0."""

    def g(t):
        x = 2 * (1 + t) / (1 - t)
        if x < 50:
            value = mp.exp(x * x) * mp.erfc(x)
        else:
            value = sum((-1) ** k * mp.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(12)) / (
                x * mp.sqrt(mp.pi)
            )
        return value * (1 + 2 * x)

    fit("erfcx 64", g, lambda t: 1 / g(t), -1, "0.9999999", 27, 64, 0)
    fit("erfcx 32", g, lambda t: 1 / g(t), -1, "0.68", 10, 32, 0)


def pow_parts():
    """pow of floats (in short double polynomials) and of doubles (the logarithm in two doubles)."""

    def g(u):
        s = mp.sqrt(u)
        return (2 * mp.atanh(s) / s - 2) / u if u > mp.mpf(10) ** -12 else mp.mpf(2) / 3 + 2 * u / 5

    def rest(u):
        return (g(u) - mp.mpf(2) / 3) / u if u > mp.mpf(10) ** -9 else mp.mpf(2) / 5 + 2 * u / 7

    top = (3 - 2 * ROOT) ** 2 * mp.mpf("1.0001")
    fit("pow exp 32", series(mp.exp, 0, 2), lambda x: x**2 / mp.exp(x) + FLOOR, -LN2, LN2, 5, 64)
    fit("pow log 32", g, lambda u: u / 2 + FLOOR, 0, top, 3, 64, 1)
    fit("pow log 64", rest, lambda u: u * u / 2 + FLOOR**2, 0, top, 7, 64, 1)


def bessel(n):
    """e^-y I_n(y), over y for n = 1, in t = y / 4 - 1; beyond 8 times the root of y, in s = 16 / y - 1."""

    def near(t):
        y = 4 * (t + 1)
        return mp.exp(-y) * (mp.besseli(0, y) if n == 0 else mp.besseli(1, y) / y if y else mp.mpf(1) / 2)

    def far(s):
        y = 16 / max(s + 1, mp.mpf(10) ** -12)
        return mp.exp(-y) * mp.besseli(n, y) * mp.sqrt(y)

    fit(f"i{n}e to 8", near, lambda t: 1 / near(t), -1, 1, 20, 64, 0)
    fit(f"i{n}e from 8", far, lambda s: 1 / far(s), -1, 1, 6, 64, 0)


JOBS = {
    "pow": pow_parts,
    "exp": lambda: (exp(32, 4), exp(64, 9)),
    "expm1": lambda: (expm1(32, 5), expm1(64, 10)),
    "log": lambda: (log32(), log64()),
    "sin": lambda: (sin_cos(32, 2), sin_cos(64, 5)),
    "tan": lambda: fit("tan 64", odd(mp.tan), by_square, 0, QUARTER, 14, 64),
    "tanh": lambda: fit("tanh 32", odd(mp.tanh), by_square, 0, "0.36", 4, 32),
    "atan": lambda: (
        fit("atan 32", odd(mp.atan), by_square, 0, TAN8, 4, 32),
        fit("atan 64", odd(mp.atan), by_square, 0, TAN8, 10, 64),
    ),
    "asin": lambda: fit("asin 64", odd(mp.asin), by_square, 0, "0.25", 12, 64),
    "erf": lambda: (erf_small(32, 6, "0.9216"), erf_small(64, 12, "1"), erf_tail(), erf_table()),
    "erfcx": erfcx,
    "bessel": lambda: (bessel(0), bessel(1)),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or JOBS:
        JOBS[name]()
