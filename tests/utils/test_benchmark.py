"""`utils.benchmark`: representations and tables as PyTorch 2.13 prints them."""

import pickle

import pytest

import flambeau as fb
import flambeau.utils.benchmark as bench
from flambeau.utils.benchmark.op_fuzzers.binary import BinaryOpFuzzer


def measured(times, runs=1, stmt="x + y", setup="pass", **words):
    return bench.Measurement(runs, times, bench.TaskSpec(stmt, setup, **words))


def shown(measurement):
    return repr(measurement).split("\n", 1)[1]


def test_representation():
    noisy = measured([1e-6, 1.1e-6, 1.2e-6, 3e-6, 2e-6, 1e-6])
    assert shown(noisy) == (
        "x + y\n  Median: 1.15 us\n  IQR:    0.78 us (1.02 to 1.80)\n"
        "  6 measurements, 1 runs per measurement, 1 thread\n"
        "  WARNING: Interquartile range is 67.4% of the median measurement.\n"
        "           This suggests significant environmental influence."
    )
    one = measured([1e-6], runs=10, label="L", sub_label="S", description="D")
    assert shown(one) == "L: S\nD\n  100.00 ns\n  1 measurement, 10 runs , 1 thread"
    steady = measured([1e-3, 1.01e-3, 1.02e-3, 1.02e-3, 1.01e-3, 1e-3], setup="x=1\ny=2", num_threads=4)
    assert shown(steady) == (
        "x + y\nsetup:\n  x=1\n  y=2\n\n  Median: 1.01 ms\n  IQR:    0.02 ms (1.00 to 1.02)\n"
        "  6 measurements, 1 runs per measurement, 4 threads"
    )
    assert pickle.loads(pickle.dumps(one)) == one and one.env is None and one.as_row_name == "S"


@pytest.mark.parametrize(
    ("times", "figures", "median", "iqr"),
    [
        ([1.0, 1.05, 1.1, 1.2], 1, 1.075, 0.0875),
        ([1.0, 1.0, 1.0, 1.0], 4, 1.0, 0.0),
        ([1.0, 1.001, 1.002, 1.004, 1.005], 2, 1.002, 0.003),
        ([9.0, 9.9, 9.1, 9.2, 9.4, 9.3], 2, 9.25, 0.25),
    ],
)
def test_numbers(times, figures, median, iqr):
    m = measured(times)
    assert m.significant_figures == figures
    assert m.median == pytest.approx(median) and m.iqr == pytest.approx(iqr)


def test_merge_and_units():
    m = measured([3e-6, 6e-6], runs=3)
    (merged,) = bench.Measurement.merge([m, m])
    assert merged.number_per_run == 1 and merged.raw_times == pytest.approx([1e-6, 2e-6] * 2)
    assert bench.select_unit(5e-5) == ("us", 1e-6) and bench.select_unit(200.0) == ("s", 1)
    assert bench.unit_to_english("ms") == "millisecond" and bench.trim_sigfig(123456.0, 2) == 120000.0
    assert bench.ordered_unique([3, 1, 3, 2]) == [3, 1, 2]


def batched():
    made = []
    for threads in (1, 4):
        for size, factor in (("(16, 16)", 1), ("(1024, 1)", 100)):
            for word, base in (("single", 1e-6), ("two pass", 1.7e-6)):
                times = [base * factor * (1 + 0.01 * i) / threads for i in range(8)]
                made.append(
                    measured(times, label="Batched", sub_label=size, description=word, num_threads=threads)
                )
    return made


def test_compare():
    table = bench.Compare(batched())
    assert str(table) == (
        "[--------------- Batched ---------------]\n"
        "                 |   single   |  two pass\n"
        "1 threads: ------------------------------\n"
        "      (16, 16)   |    1035.0  |    1759.5\n"
        "      (1024, 1)  |  103500.0  |  175950.0\n"
        "4 threads: ------------------------------\n"
        "      (16, 16)   |     258.7  |     439.9\n"
        "      (1024, 1)  |   25875.0  |   43987.5\n\nTimes are in nanoseconds (ns).\n"
    )
    table.trim_significant_figures()
    table.colorize()
    assert str(table).split("\n")[3] == (
        "      (16, 16)   |  \x1b[92m\x1b[1m  1000\x1b[0m\x1b[0m  |  \x1b[92m\x1b[1m   2000 \x1b[0m\x1b[0m"
    )
    noisy = [1e-3, 5e-3, 9e-3, 1.2e-3, 1e-2]
    table = bench.Compare([measured(noisy, label="Noisy", sub_label="a", description="d")])
    table.highlight_warnings()
    assert "      a  |  5.0 (! 156%)\n" in str(table) and str(table).endswith(
        "(! XX%) Measurement has high variance, where XX is the IQR / median * 100.\n"
    )
    with pytest.raises(
        ValueError, match=r"Expected an instance of `Measurement`, got <class 'int'> instead."
    ):
        bench.Compare([3])
    assert str(bench.Compare([])) == ""


def test_environments():
    rows = [("b0", "x + y", 1e-3), ("b0", "f(x)", 2e-3), ("b1", "f(x)", 2e-3), ("b1", "x + y", 2e-5)]
    table = bench.Compare(
        [measured([t] * 8, stmt=s, env=e, description="d1" if e == "b0" else "d2") for e, s, t in rows]
    )
    assert str(table).split("\n")[:7] == [
        "[----------------  ---------------]",
        "               |    d1    |    d2  ",
        "1 threads: ------------------------",
        "  (b0)  x + y  |  1000.0  |        ",
        "        f(x)   |  2000.0  |        ",
        "  (b1)  f(x)   |          |  2000.0",
        "        x + y  |          |    20.0",
    ]


def test_timer():
    threads = fb.get_num_threads()
    seen = []
    timer = bench.Timer("seen.append(torch.get_num_threads())", globals={"seen": seen}, num_threads=1)
    m = timer.timeit(5)
    assert m.number_per_run == 5 and len(m.raw_times) == 1 and set(seen) == {1}
    assert fb.get_num_threads() == threads
    m = timer.blocked_autorange(min_run_time=0.01)
    assert sum(m.raw_times) >= 0.01 and m.median < 1e-3
    m = timer.adaptive_autorange(min_run_time=0.001, max_run_time=0.02)
    assert m.raw_times and m.label is None
    m = bench.Timer("\n\n    x = 1\n    y = 2\n", setup="\n    a = 1\n").timeit(1)
    assert (m.stmt, m.setup) == ("\nx = 1\ny = 2", "a = 1")
    with pytest.raises(ValueError, match=r"Invalid language `rust`."):
        bench.Timer("x", language="rust")
    with pytest.raises(ValueError, match="global_setup is C"):
        bench.Timer("x", global_setup="a")
    with pytest.raises(NotImplementedError):
        bench.Timer("x", language=bench.Language.CPP)


def test_fuzzer_draws_as_pytorch():
    fuzzer = bench.Fuzzer(
        [
            bench.FuzzedParameter("k0", 16, 16 * 1024, "loguniform"),
            bench.FuzzedParameter("k1", 1, 10, "uniform"),
            bench.FuzzedParameter("u", 0.0, 1.0, "uniform"),
            bench.FuzzedParameter("lf", 0.5, 10, "loguniform"),
        ],
        [bench.FuzzedTensor("x", size=("k0", "k1"), min_elements=128, probability_contiguous=0.6)],
        seed=0,
    )
    drawn = list(fuzzer.take(2))
    assert drawn[0][2] == {"k0": 2275, "k1": 4, "u": 0.8579456176227568, "lf": 6}
    assert drawn[0][0]["x"].stride() == (1, 2275) and not drawn[0][1]["x"]["is_contiguous"]
    assert drawn[0][0]["x"].sum().item() == pytest.approx(4587.876953125, rel=1e-6)
    assert drawn[1][2] == {"k0": 332, "k1": 7, "u": 0.05671297731744318, "lf": 1}
    assert fuzzer.rejection_rate == 0.0


def test_fuzzer_rules():
    half = {1: 0.5, bench.ParameterAlias("a"): 0.5}
    fuzzer = bench.Fuzzer(
        [bench.FuzzedParameter("a", 2, 9, "uniform"), bench.FuzzedParameter("b", distribution=half)],
        [bench.FuzzedTensor("x", ("a", "b"), dtype=fb.int64)],
        constraints=[lambda params: params["a"] != 5],
        seed=3,
    )
    for tensors, _, params in fuzzer.take(20):
        assert params["b"] in (1, params["a"]) and params["a"] != 5
        assert tensors["x"].shape == (params["a"], params["b"]) and tensors["x"].min() >= 1
    with pytest.raises(AssertionError, match="Distribution is not normalized"):
        bench.FuzzedParameter("a", distribution={1: 0.3})
    loop = bench.FuzzedParameter("a", distribution={bench.ParameterAlias("a"): 1.0})
    with pytest.raises(ValueError, match="cycle"):
        next(bench.Fuzzer([loop], [], seed=1).take(1))


def test_binary_fuzzer():
    fuzzer = BinaryOpFuzzer(seed=7)
    params = fuzzer._generate(__import__("numpy").random.RandomState(1))
    assert all(tensor.satisfies_constraints(params) for tensor in fuzzer._tensors)
    assert all(params[f"y_k{i}"] in (1, params[f"k{i}"]) for i in range(3))
