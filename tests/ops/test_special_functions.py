"""Special functions against values computed to 13 digits with mpmath."""

import math

import pytest

import flambeau as fb

special = fb.special
X = [-3.7, -1.2, -0.3, 0.25, 0.9, 2.5, 6.0]
P = [abs(x) + 0.5 for x in X]
AT_X = {
    "airy_ai": [
        -0.2820130618419,
        0.5261943748021,
        0.4309030952856,
        0.2911639543485,
        0.1518868036405,
        0.01572592338047,
        9.947694360253e-06,
    ],
    "bessel_j0": [
        -0.3992302033712,
        0.6711327442644,
        0.9776262465383,
        0.9844359292959,
        0.8075237981225,
        -0.0483837764682,
        0.150645257251,
    ],
    "bessel_j1": [
        -0.05383398774546,
        -0.4982890575672,
        -0.1483188162731,
        0.1240259773227,
        0.4059495460788,
        0.4970941024643,
        -0.2766838581276,
    ],
    "erfcx": [
        1764092.756091,
        8.062854217064,
        1.453749232843,
        0.770346547731,
        0.4565316513231,
        0.2108063640611,
        0.09277656780054,
    ],
    "i0e": [
        0.216049441673,
        0.4197820789351,
        0.7575806251825,
        0.7910171621397,
        0.4931629661007,
        0.2700464416122,
        0.1666574326398,
    ],
    "i1": [
        -7.435745796535,
        -0.7146779415526,
        -0.1516938400036,
        0.1259791089455,
        0.497126448161,
        2.516716245289,
        61.34193677764,
    ],
    "log_ndtr": [
        -9.135235371873,
        -2.162217506044,
        -0.9621028181689,
        -0.5129840754094,
        -0.2034146097557,
        -0.00622902548586,
        -9.865876455244e-10,
    ],
    "digamma": [
        -0.8450768588704,
        4.868324766627,
        2.113309779635,
        -4.227453533376,
        -0.7549269499471,
        0.7031566406452,
        1.706117668432,
    ],
    "gammaln": [
        -1.379739904966,
        1.57917603404,
        1.464840050858,
        1.288022524698,
        0.06637623973474,
        0.2846828704729,
        4.787491742782,
    ],
}
AT_P = {
    "bessel_y0": [
        -0.09375120131443,
        0.4520270001816,
        -0.08680227965661,
        -0.1371727693858,
        0.3378951296797,
        0.3768500100128,
        -0.173242434919,
    ],
    "bessel_y1": [
        0.3680128078542,
        -0.2847262450641,
        -0.9781441766834,
        -1.037594550769,
        -0.4791469742328,
        0.3246744247918,
        -0.2740912739593,
    ],
    "modified_bessel_k0": [
        0.008927451541542,
        0.165496318057,
        0.5653471052659,
        0.6105824221165,
        0.2436550611815,
        0.03473950438628,
        0.0007259317676293,
    ],
    "modified_bessel_k1": [
        0.009938204735917,
        0.2093624882041,
        0.8617816344722,
        0.9495804669621,
        0.3208359022299,
        0.04015643112819,
        0.0007798943982238,
    ],
}


def close(got, want, rtol):
    return fb.allclose(got.double(), fb.tensor(want, dtype=fb.float64), rtol, 1e-14)


@pytest.mark.parametrize("name", [*AT_X, *AT_P])
def test_values(name):
    points, want = (X, AT_X[name]) if name in AT_X else (P, AT_P[name])
    assert close(getattr(special, name)(fb.tensor(points, dtype=fb.float64)), want, 1e-11)
    assert fb.allclose(
        getattr(special, name)(fb.tensor(points)).double(), fb.tensor(want, dtype=fb.float64), 2e-5, 1e-6
    )


def test_polygamma():
    x = fb.tensor(X, dtype=fb.float64)
    assert close(
        fb.polygamma(1, x),
        [
            14.84242186412,
            27.99391858195,
            13.94516026781,
            17.19732915451,
            1.922539959477,
            0.4903577561002,
            0.1813229557371,
        ],
        1e-11,
    )
    assert close(
        fb.tensor(P, dtype=fb.float64).polygamma(3),
        [
            0.03812584146099,
            0.8895620066243,
            15.37089207048,
            19.76331253485,
            1.820259033947,
            0.1189394022668,
            0.009133663504378,
        ],
        1e-11,
    )
    with pytest.raises(RuntimeError, match="does not support negative n"):
        fb.polygamma(-1, x)


def test_zeta():
    s = fb.tensor([2, 3.5, 1.01, 30, 5], dtype=fb.float64)
    q = fb.tensor([1, 0.2, 4, 1.5, -1.5], dtype=fb.float64)
    assert close(
        special.zeta(s, q),
        [1.644934066848, 280.1319608387, 98.75170575605, 5.215096203816e-06, 0.01307316664611],
        1e-11,
    )
    edge = special.zeta(fb.tensor([1.0, 0.5, 2.0, 2.5]), fb.tensor([1.0, 1.0, -1.0, -1.5])).tolist()
    assert edge[0] == edge[2] == math.inf and math.isnan(edge[1]) and math.isnan(edge[3])


def test_incomplete_gamma():
    a = fb.tensor([0.1, 1, 5, 50, 1000, 20000], dtype=fb.float64)
    assert close(
        fb.igamma(a, fb.tensor([0.01, 2.5, 1, 60, 990, 20500], dtype=fb.float64)),
        [
            0.6626212599545,
            0.9179150013761,
            0.003659846827344,
            0.9155933189063,
            0.379521378538,
            0.9997749719644,
        ],
        1e-10,
    )
    assert close(
        fb.igammac(a, fb.tensor([0.01, 2.5, 12, 60, 1100, 20500], dtype=fb.float64)),
        [
            0.3373787400455,
            0.0820849986239,
            0.007600390681067,
            0.08440668109369,
            0.00105932325393,
            0.0002250280356423,
        ],
        1e-10,
    )


def test_inverses():
    x = fb.tensor([-0.999999, -0.7, -1e-5, 1e-20, 0.3, 0.5000001, 0.9, 1 - 2.0**-52], dtype=fb.float64)
    assert close(
        fb.erfinv(x),
        [
            -3.458910737275,
            -0.7328690779592,
            -8.86226925476e-06,
            8.862269254528e-21,
            0.2724627147268,
            0.476936387463,
            1.163087153677,
            5.805018683193,
        ],
        1e-11,
    )
    p = fb.tensor([1e-20, 0.001, 0.3, 0.5, 0.9, 0.999999], dtype=fb.float64)
    assert close(
        special.ndtri(p),
        [-9.262340089798, -3.090232306168, -0.524400512708, 0, 1.281551565545, 4.753424308817],
        1e-11,
    )
    assert special.ndtri(fb.tensor([0.0, 1.0])).tolist() == [-math.inf, math.inf]


def test_polynomials_satisfy_their_definitions():
    t = fb.linspace(0.1, 3.0, 12, dtype=fb.float64)
    for n in (0, 1, 4, 11):
        order = fb.tensor(float(n), dtype=fb.float64)
        assert fb.allclose(special.chebyshev_polynomial_t(t.cos(), order), (n * t).cos(), 1e-10, 1e-10)
        assert fb.allclose(
            special.chebyshev_polynomial_u(t.cos(), order), ((n + 1) * t).sin() / t.sin(), 1e-9, 1e-9
        )
        assert fb.allclose(
            special.chebyshev_polynomial_v(t.cos(), order), ((n + 0.5) * t).cos() / (t / 2).cos(), 1e-9, 1e-9
        )
        assert fb.allclose(
            special.chebyshev_polynomial_w(t.cos(), order), ((n + 0.5) * t).sin() / (t / 2).sin(), 1e-9, 1e-9
        )
    x = fb.tensor([-2.0, -0.5, 0.0, 1.5], dtype=fb.float64)
    assert fb.allclose(special.hermite_polynomial_h(x, 3), 8 * x**3 - 12 * x)
    assert fb.allclose(special.hermite_polynomial_he(x, 3), x**3 - 3 * x)
    assert fb.allclose(special.laguerre_polynomial_l(x, 2), (x * x - 4 * x + 2) / 2)
    assert fb.allclose(special.legendre_polynomial_p(x, 3), (5 * x**3 - 3 * x) / 2)
    assert special.chebyshev_polynomial_t(x, -1).tolist() == [0, 0, 0, 0]


def test_shifted_polynomials_turn_to_angles_above_degree_six():
    golden = {
        "t": [[-1.0, 1.0], [-4.286263797015736e-16, 0.4999999999999997]],
        "u": [[-1.0, 1.0], [-4.898587196589413e-16, 0.9999999999999994]],
        "v": [[-1.0, 1.0], [0.9999999999999986, -6.720550198295986e-16]],
        "w": [[-1.0000000000000007, 1.0000000000000016], [-1.0000000000000013, 2.0]],
    }
    x, n = fb.tensor([0.5, 0.75], dtype=fb.float64), fb.tensor([[6.0], [7.0]], dtype=fb.float64)
    for kind, expected in golden.items():
        got = getattr(special, "shifted_chebyshev_polynomial_" + kind)(x, n)
        assert fb.allclose(got, fb.tensor(expected, dtype=x.dtype), rtol=0, atol=4e-15)
        assert getattr(special, "shifted_chebyshev_polynomial_" + kind)(fb.tensor(fb.nan), 7).isnan()


def test_polynomials_of_huge_degree():
    n = 10000001.0
    x = fb.tensor([0.5, -0.3, 0.999, 1, -1, 2], dtype=fb.float64)
    expected = fb.tensor(
        [7.017314352732e-05, -1.16123367355e-05, 1.0708961120383e-03, 1, -1, fb.nan], dtype=x.dtype
    )
    assert fb.allclose(special.legendre_polynomial_p(x, n), expected, rtol=1e-7, equal_nan=True)
    x = fb.tensor([0.5, 3, 20, -1e-4, 1e9], dtype=fb.float64)
    expected = fb.tensor(
        [-0.009942831855973, -0.0164887461577893, -100.627649207395, 1.4738038489819837e26, fb.nan],
        dtype=x.dtype,
    )
    assert fb.allclose(special.laguerre_polynomial_l(x, n), expected, rtol=1e-4, equal_nan=True)
    for polynomial in (special.legendre_polynomial_p, special.laguerre_polynomial_l):
        assert polynomial(fb.tensor([0.25, 1.0, 2.0, -3.0]), 1e10).shape == (4,)  # at once


@pytest.mark.parametrize(
    "function",
    [
        special.erfcx,
        special.log_ndtr,
        special.i0e,
        special.i1,
        special.i1e,
        fb.lgamma,
        fb.digamma,
        fb.sinc,
        special.ndtr,
        fb.erf,
        fb.erfc,
        lambda x: fb.polygamma(2, x),
        lambda x: special.ndtri(x.sigmoid()),
        lambda x: fb.erfinv(x.tanh()),
        lambda x: special.entr(x.exp()),
        lambda x: special.zeta(2.5, x.exp()),
        lambda x: fb.igamma(fb.tensor(1.7, dtype=fb.float64), x.exp()),
        lambda x: fb.xlogy(x, x.exp()),
    ],
)
def test_gradients(function):
    x = fb.tensor([0.3, 1.4, 2.2], dtype=fb.float64, requires_grad=True)
    assert fb.autograd.gradcheck(function, (x,))


def test_double_precision_in_registers():
    """Values of 40-digit arithmetic; each alone and in the middle of others."""
    cases = {
        "lgamma": [
            (1e-300, 690.7755278982137),
            (0.3, 1.0957979948180756),
            (0.75, 0.20328095143129538),
            (1 + 1e-7, -5.772155829918507e-08),
            (1.4423499218970046, -0.12130533115946444),
            (2 - 1e-7, -4.2278430309861296e-08),
            (3.7, 1.428072326665388),
            (8.4999, 9.549059248843433),
            (8.5, 9.549267257300997),
            (1e10, 220258509288.81058),
            (-0.5, 1.2655121234846454),
            (-1.75, 1.0160888092144358),
            (-2.5, -0.056243716497674054),
        ],
        "erfinv": [
            (1e-300, 8.86226925452758e-301),
            (0.1, 0.08885599049425769),
            (-0.7, -0.7328690779592167),
            (0.9966, 2.071150939906553),
            (0.99999999, 4.052237243268763),
            (1 - 2**-53, 5.8635847487551676),
        ],
        "trigamma": [
            (1e-3, 1000001.6425331958),
            (0.7, 2.834049156694611),
            (3.3, 0.3535015418410618),
            (25.0, 0.04081066325722558),
            (1e8, 1.000000005e-08),
        ],
        "ndtri": [
            (1e-300, -37.0470962993612),
            (1e-15, -7.941345326170998),
            (1e-10, -6.361340902404056),
            (0.001, -3.090232306167813),
            (0.02, -2.0537489106318225),
            (0.25, -0.6744897501960817),
            (0.499999, -2.5066282745665593e-06),
            (0.5, 0.0),
            (0.5000001, 2.506628273311648e-07),
            (0.75, 0.6744897501960817),
            (1 - 1e-16, 8.209536151601387),
        ],
    }
    functions = {
        "lgamma": fb.lgamma,
        "erfinv": fb.erfinv,
        "trigamma": lambda x: fb.polygamma(1, x),
        "ndtri": special.ndtri,
    }
    for name, values in cases.items():
        x = fb.tensor([v for v, _ in values], dtype=fb.float64)
        wanted = fb.tensor([v for _, v in values], dtype=fb.float64)
        together = functions[name](x)
        assert ((together - wanted).abs() <= 1e-15 * wanted.abs() + 5e-324).all(), (name, together, wanted)
        for v, r in zip(x, together):
            assert functions[name](v.repeat(3))[1] == r
    bad = fb.tensor([math.nan, math.inf, 0.0, -1.0, -3.0], dtype=fb.float64)
    assert fb.lgamma(bad).tolist()[1:] == [math.inf] * 4 and fb.lgamma(bad)[0].isnan()
    assert fb.erfinv(bad[2:4]).tolist() == [0.0, -math.inf] and fb.erfinv(bad[[0, 1, 4]]).isnan().all()
    assert special.ndtri(fb.tensor([0.0, 1.0], dtype=fb.float64)).tolist() == [-math.inf, math.inf]
    assert special.ndtri(fb.tensor([-0.1, 1.5, math.nan], dtype=fb.float64)).isnan().all()
