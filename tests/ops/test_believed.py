"""Sizes no tensor can have, indices nothing else checks, values that meta tensors lack: errors, no crash."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

F_ = fb._C._VariableFunctions
PICTURE = fb.ones(1, 1, 4, 4)
TOO_LARGE = r"Storage size calculation overflowed with sizes=\[1, 1, "


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
@pytest.mark.parametrize("size", [(2**62, 2), (2**31, 2**31)])
def test_interpolate_to_sizes_no_tensor_has(mode, size):
    with pytest.raises(RuntimeError, match=TOO_LARGE):
        F.interpolate(PICTURE, size=size, mode=mode)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_smooth_interpolate_to_sizes_no_tensor_has(mode):
    with pytest.raises(RuntimeError, match=TOO_LARGE):
        F.interpolate(PICTURE, size=(2**62, 2), mode=mode, antialias=True)


def test_memory_of_tables_runs_out_in_plain_words():
    with pytest.raises(fb.OutOfMemoryError, match="DefaultCPUAllocator: can't allocate memory"):
        F.interpolate(PICTURE, size=(2**59, 1), mode="bicubic")


def test_upsample_takes_as_many_sizes_as_dimensions():
    with pytest.raises(RuntimeError, match="It is expected output_size equals to 2, but got size 1"):
        fb._C._nn.upsample_bicubic2d(PICTURE, [3], False)


def test_cat_of_sizes_that_overflow():
    with pytest.raises(RuntimeError, match="sum up to more than a tensor can have"):
        fb.cat([fb.ones(1).expand(2**62)] * 4)


def test_places_of_samples():
    index, weight = fb.tensor([[[0, 4], [2**62, -(2**63)]]]), fb.ones(1, 2, 2)
    for channels in (1, 2):
        for dtype in (fb.float32, fb.float64):
            x, g, w = (
                fb.ones(1, channels, 4, dtype=dtype),
                fb.ones(1, channels, 2, dtype=dtype),
                weight.to(dtype),
            )
            assert F_._sample(x, index, w).tolist() == [[[1.0, 0.0]] * channels]
            assert F_._sample_backward(g, index, w, 3).tolist() == [[[1.0, 0.0, 0.0]] * channels]
            assert F_._sample_products(g, x, index).tolist() == [[[float(channels), 0.0], [0.0, 0.0]]]


def test_ctc_labels():
    logs = fb.randn(5, 2, 3).log_softmax(2)
    for label in (3, -1, 2**40):
        with pytest.raises(IndexError, match=f"target {label} of sequence 1 is out of bounds for 3 classes"):
            F.ctc_loss(logs, fb.tensor([[1, 2], [1, label]]), (5, 5), (2, 2))
    padded = fb.tensor([[1, 2], [1, 99]])
    assert F.ctc_loss(logs, padded, (5, 5), (2, 1)).isfinite()
    with pytest.raises(RuntimeError):
        F.ctc_loss(logs, fb.tensor([1, 2]), (5, 5), (2**62, 2**62))
    with pytest.raises(RuntimeError, match="meta"):
        F.ctc_loss(logs, fb.ones(2, 2, dtype=fb.int64, device="meta"), (5, 5), (2, 2))


def test_searchsorted_on_meta():
    sorted_ = fb.ones(5, device="meta")
    assert fb.bucketize(fb.tensor(1.0), sorted_).is_meta
    with pytest.raises(RuntimeError, match="Tensor on device cpu is not on the expected device meta!"):
        fb.searchsorted(sorted_, fb.ones(3))


def test_softmax_backward_of_other_types():
    for name in ("softmax", "log_softmax"):
        for dtype in (fb.bool, fb.int64, fb.complex64):
            t = fb.ones(8, dtype=dtype)
            with (
                fb.no_grad(),
                pytest.raises(NotImplementedError, match=f'"{name}_backward_lastdim_kernel_impl"'),
            ):
                getattr(F_, f"_{name}_backward_data")(t, t, 0, fb.float32)


@pytest.mark.parametrize("offset", [2**62, 2**61, 2**63 - 1])
@pytest.mark.parametrize("dtype", [fb.int8, fb.float32, fb.complex128])
def test_offsets_whose_bytes_overflow(offset, dtype):
    x = fb.zeros(3, dtype=dtype)
    for make in (
        lambda: x.as_strided((), (), offset),
        lambda: x.clone().as_strided_((), (), offset),
        lambda: fb.tensor(0, dtype=dtype).set_(x.untyped_storage(), offset, (), ()),
        lambda: fb.tensor(0, dtype=dtype).set_(x.untyped_storage(), offset, ()),
        lambda: x.as_strided((1,), (1,), offset),
    ):
        with pytest.raises(
            RuntimeError, match=r"Storage size calculation overflowed with sizes=\[|setStorage"
        ):
            make()
    nothing = x.as_strided((0,), (1,), offset)
    assert nothing.numel() == 0 and nothing.clone().shape == (0,)
    with pytest.raises(RuntimeError):
        nothing.resize_(3)


def test_running_statistics_are_vectors():
    x, ones, row = (
        fb.randn(4, 3, 2, dtype=fb.float64),
        fb.ones(3, dtype=fb.float64),
        fb.ones(1, 3, dtype=fb.float64),
    )
    for training in (True, False):
        for mean, var in ((row, ones), (ones, row)):
            with pytest.raises(RuntimeError, match="TensorAccessor expected 1 dims but tensor has 2"):
                fb.batch_norm(x, None, None, mean, var, training, 0.1, 1e-5, False)
        assert fb.batch_norm(x, row, row, ones.clone(), ones, training, 0.1, 1e-5, False).shape == x.shape


def test_windows_of_fractional_pools_stay_inside():
    x = fb.arange(7.0 * 6 * 7).reshape(1, 1, 7, 6, 7)
    for kernel in ((4, 3, -4), (0, 1, 1)):
        with pytest.raises(RuntimeError, match="kernel sizes have to be positive"):
            F.fractional_max_pool3d(x, kernel, output_size=(2, 3, 2))
    for sample in (-1e9, 5.0, float("nan"), float("inf")):
        samples = fb.full((1, 1, 3), sample)
        _, at = F.fractional_max_pool3d(x, 2, output_size=3, return_indices=True, _random_samples=samples)
        assert at.min() >= 0 and at.max() < x.numel()


def test_upsample_takes_as_many_factors_as_dimensions():
    with pytest.raises(RuntimeError, match="It is expected output_size equals to 3, but got size 0"):
        fb._C._nn.upsample_trilinear3d(fb.ones(1, 1, 2, 2, 2), None, False, [])


def test_bytes_of_masks_may_be_anything():
    x = fb.tensor([0, 1, 2, 190], dtype=fb.uint8).view(fb.bool)
    assert x.tolist() == [False, True, True, True] and x[3].item() is True and x[0].item() is False


def call(name, arguments, *tensors):
    """A call of an operator that Python does not show, as a saved program may make it."""
    n = len(tensors)
    graph = fb._C._Graph()
    slots = {"slots": n + 5, "inputs": list(range(n)), "outputs": [n], "held": []}
    graph.fill([[name, arguments, [], False, [n], False]], slots)
    return graph.run(list(tensors), [])[0]


T0, T1, T2, T3, T4 = (["tensor", i] for i in range(5))
NONE = ["none", None]
ENTROPY = ["int", 1], ["int", 1], ["float", 0.0]
INTERNAL = [
    ("nll_loss_forward", [T0, T1, NONE, ["int", 1], ["int", -100]], fb.ones(2, 3), fb.zeros(1).long()),
    ("nll_loss_forward", [T0, T1, NONE, ["int", 1], ["int", -100]], fb.ones(()), fb.zeros(1).long()),
    (
        "nll_loss_backward",
        [T0, T1, T2, NONE, ["int", 1], ["int", -100], T3],
        fb.ones(()), fb.ones(2, 3), fb.tensor([1, 3]), fb.ones(()),
    ),
    (
        "nll_loss_backward",
        [T0, T1, T2, NONE, ["int", 0], ["int", -100], T3],
        fb.ones(()), fb.ones(2, 3), fb.tensor([1, 1]), fb.ones(()),
    ),
    ("_cross_entropy", [T0, T1, NONE, *ENTROPY], fb.ones(2, 3), fb.ones(9).long()),
    ("_cross_entropy", [T0, T1, NONE, *ENTROPY], fb.ones(2, 2).long(), fb.ones(2).long()),
    (
        "embedding_dense_backward",
        [T0, T1, ["int", 3], ["int", -1], ["bool", True]],
        fb.ones(2, 4), fb.tensor([0, 3]),
    ),
    (
        "embedding_dense_backward",
        [T0, T1, ["int", 3], ["int", 9], ["bool", False]],
        fb.ones(()), fb.tensor([0]),
    ),
    ("_adaptive_avg_pool3d_backward", [T0, T1], fb.ones(1, 1), fb.ones(8, 8, 3, 3)),
    ("_adaptive_avg_pool3d_backward", [T0, T1], fb.ones(7, 3, 3, 3), fb.ones(8, 8, 3, 3)),
    ("index.Tensor", [T0, ["tensors", []]], fb.ones(3, 1)),
    ("_logcumsumexp_product", [T0, T1, T2, ["int", 0], ["bool", True]], fb.ones(4), fb.ones(4), fb.ones(2)),
    (
        "_rnn_sequence",
        [T0, T1, NONE, T2, NONE, ["int", 2], ["ints", [4, 5]], ["bool", False], ["bool", False]],
        fb.ones(9, 3), fb.ones(4, 3), fb.ones(3, 3),
    ),
    (
        "_rnn_sequence",
        [T0, T1, NONE, T2, NONE, ["int", 0], ["ints", [4]], ["bool", False], ["bool", False]],
        fb.ones(4, 12), fb.ones(4, 3), fb.ones(12, 3),
    ),
    (
        "_resample",
        [T0, ["int", 0], T1, T2, ["int", 0], ["bool", False]],
        fb.ones(3), fb.tensor([[3]]), fb.ones(1, 1).double(),
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", INTERNAL, ids=lambda c: c[0])
def test_internal_operators_check_what_they_are_given(case):
    name, arguments, *tensors = case
    with fb.no_grad(), pytest.raises((RuntimeError, IndexError)):
        call(name, arguments, *tensors)


def test_steps_and_triangles_without_end():
    x = fb.arange(4.0)
    assert (
        x[:: 2**63 - 1].tolist() == [0] and x[3 :: 2**62].tolist() == [3] and x[4 :: 2**63 - 1].tolist() == []
    )
    assert fb.triu_indices(2**40, 1, offset=2).shape == (2, 0)
    assert fb.triu_indices(2**40, 3).tolist() == [[0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    assert fb.tril_indices(2**40, 3, offset=1 - 2**40).tolist() == [[2**40 - 1], [0]]
    for rows in range(6):
        for columns in range(6):
            for offset in range(-7, 8):
                ones = fb.ones(rows, columns)
                assert fb.equal(fb.triu_indices(rows, columns, offset), ones.triu(offset).nonzero().T)
                assert fb.equal(fb.tril_indices(rows, columns, offset), ones.tril(offset).nonzero().T)
    with pytest.raises(RuntimeError):
        fb.tril_indices(2**40, 2**30)


@pytest.mark.parametrize("name", ["scatter", "scatter_add"])
def test_sources_of_other_dimensions(name):
    for shape in ((2, 0, 0, 0), (2, 3)):
        with pytest.raises(RuntimeError, match="same number of dimensions as src tensor"):
            getattr(fb.ones(3), name)(0, fb.tensor([0]), fb.ones(shape))
