"""Calls whose arguments fit no overload: class and first line are PyTorch's."""

import pytest

import flambeau as fb
import flambeau.masked
import flambeau.nn.functional as F

X = fb.ones(2, 3)

REFUSED = [
    # PyTorch looks at the overloads that the number of arguments allows; a single one explains itself
    (
        lambda: fb.mm(X),
        "mm() received an invalid combination of arguments - got (Tensor), but expected one of:",
    ),
    (lambda: fb.where(1), "where(): argument 'condition' (position 1) must be Tensor, not int"),
    (
        lambda: fb.linspace(1),
        "linspace() received an invalid combination of arguments - got (int), but expected one of:",
    ),
    (
        lambda: X.view([1], 3),
        "view() received an invalid combination of arguments - got (list, int), but expected one of:",
    ),
    (
        lambda: fb.std(X, 1, 2, 3, 4, 5),
        "std() received an invalid combination of arguments - got (Tensor,"
        " int, int, int, int, int), but expected"
        " one of:",
    ),
    (lambda: X.round_(None), "round_() takes from 1 to 0 positional arguments but 1 were given"),
    (
        lambda: fb.linalg.solve_triangular(X, X, X),
        "linalg_solve_triangular() takes from 3 to 2 positional arguments but 3 were given",
    ),
    # many sizes want numbers, not lists of them
    (lambda: X.expand([2, 3], 1), "expand() takes 1 positional argument but 2 were given"),
    (lambda: X.permute(1.5, 0), "permute() takes 1 positional argument but 2 were given"),
    (lambda: fb.zeros([2], [3]), "zeros() takes 1 positional argument but 2 were given"),
    # NumPy's names are no names where the argument is given
    (lambda: fb.acos(X, a=1), "acos() got an unexpected keyword argument 'a'"),
    (lambda: fb.acos(X, input=1), "acos() got multiple values for argument 'input'"),
    # methods without arguments
    (lambda: X.dim(1), "TensorBase.dim() takes no arguments (1 given)"),
    (lambda: X.element_size(1), "TensorBase.element_size() takes no arguments (1 given)"),
    (lambda: X.is_conj(a=1), "TensorBase.is_conj() takes no keyword arguments"),
    (lambda: X.numel(a=1), "TensorBase.numel() takes no keyword arguments"),
    (lambda: X.slogdet(1), "TensorBase.slogdet() takes no arguments (1 given)"),
    (lambda: X.is_same_size(), 'is_same_size() missing 1 required positional arguments: "other"'),
    (lambda: X.is_pinned("x", 1), "is_pinned() takes from 0 to 1 positional arguments but 2 were given"),
    # operators written in Python refuse as methods and as functions
    (lambda: X.svd(1, 2, 3), "svd() takes from 0 to 2 positional arguments but 3 were given"),
    (lambda: fb.svd(X, 1, 2, 3), "svd() takes from 1 to 3 positional arguments but 4 were given"),
    (lambda: X.cholesky(3), "cholesky(): argument 'upper' (position 1) must be bool, not int"),
    (lambda: fb.Tensor.diff(), "unbound method TensorBase.diff() needs an argument"),
    (
        lambda: fb.Tensor.diff(3),
        "descriptor 'diff' for 'torch._C.TensorBase' objects doesn't apply to a 'int' object",
    ),
    (
        lambda: fb.trapz(X, X, dx=1),
        "trapz() received an invalid combination of arguments - got (Tensor,"
        " Tensor, dx=int), but expected one of:",
    ),
    (
        lambda: fb.linalg.pinv(fb.eye(2), 1.0, rtol=1.0),
        "linalg_pinv() received an invalid combination of arguments - got (Tensor, float, rtol=float), but"
        " expected one of:",
    ),
    # functions that look at tensors
    (lambda: fb.numel(), 'numel() missing 1 required positional arguments: "input"'),
    (lambda: fb.is_complex(1), "is_complex(): argument 'input' (position 1) must be Tensor, not int"),
    (lambda: fb.nonzero(X, 1), "nonzero() takes 1 positional argument but 2 were given"),
    (lambda: fb.tril_indices(1), 'tril_indices() missing 1 required positional arguments: "col"'),
    (
        lambda: fb.triu_indices(1, 2, device=X),
        "triu_indices(): argument 'device' must be torch.device, not Tensor",
    ),
    (lambda: fb.asarray(1, 2), "asarray() takes 1 positional argument but 2 were given"),
    (
        lambda: fb.empty_permuted((2,), (0,), requires_grad=1),
        "empty_permuted(): argument 'requires_grad' must be bool, not int",
    ),
    (
        lambda: fb.stft(fb.ones(40), 8, onesided=1, return_complex=True),
        "stft() received an invalid combination of arguments - got (Tensor,"
        " int, NoneType, NoneType, NoneType,"
        " bool, int, bool, NoneType), but expected one of:",
    ),
]


NAN = float("nan")
COUNTS = fb.tensor([1, 2, 3])
LETTERS = fb.ones(4, 2)
BAG = fb.tensor([1, 2, 1])
STARTS = fb.tensor([0, 2])
IMAGES = fb.ones(2, 4, 3)
MORE = (
    " to be true, but got false.  (Could this error message be improved?  If so, please report an enhancement"
    " request to PyTorch.)"
)

REFUSED += [
    # numbers that the elements cannot hold
    (
        lambda: COUNTS.masked_fill(COUNTS > 1, NAN),
        RuntimeError,
        "value cannot be converted to type int64_t without overflow",
    ),
    (
        lambda: COUNTS.int().masked_fill(COUNTS > 1, 1e10),
        RuntimeError,
        "value cannot be converted to type int without overflow",
    ),
    (
        lambda: COUNTS.byte().fill_(300),
        RuntimeError,
        "value cannot be converted to type uint8_t without overflow",
    ),
    (
        lambda: X.half().fill_(1e6),
        RuntimeError,
        "value cannot be converted to type c10::Half without overflow",
    ),
    (lambda: X.clone().fill_(1j), RuntimeError, "value cannot be converted to type float without overflow"),
    (
        lambda: fb.full((2,), NAN, dtype=fb.int),
        RuntimeError,
        "value cannot be converted to type int without overflow",
    ),
    (lambda: F.elu_(X.clone(), 1j), RuntimeError, "value cannot be converted to type float without overflow"),
    (
        lambda: F.hardtanh_(X.clone(), 0, 1j),
        RuntimeError,
        "value cannot be converted to type double without overflow",
    ),
    (
        lambda: fb.threshold(X, 1j, 0),
        RuntimeError,
        "value cannot be converted to type float without overflow",
    ),
    (
        lambda: fb.celu_(X.clone(), 1j),
        RuntimeError,
        "value cannot be converted to type double without overflow",
    ),
    # parameters whose sizes do not suit
    (
        lambda: fb.embedding_bag(LETTERS, BAG, STARTS, per_sample_weights=fb.ones(0)),
        RuntimeError,
        "Expected per_sample_weights.value().numel() == indices.numel()" + MORE,
    ),
    (
        lambda: fb.embedding_bag(LETTERS, BAG, STARTS, mode=5),
        RuntimeError,
        "`mode` must be sum, mean, or max.",
    ),
    (
        lambda: fb.native_group_norm(IMAGES, fb.ones(2, 3), None, 2, 4, 3, 2, 1e-5),
        RuntimeError,
        "Expected weight to be a vector of size equal to the number of channels in"
        " input, but got weight of shape"
        " [2, 3] and input of shape [2, 4, 3]",
    ),
    (
        lambda: fb.native_group_norm(IMAGES, None, None, 2, 4, 5, 2, 1e-5),
        RuntimeError,
        "Expected X.numel() == N * C * HxW" + MORE,
    ),
    (
        lambda: fb.searchsorted(fb.empty(0), X, sorter=COUNTS),
        RuntimeError,
        "torch.searchsorted(): boundary and sorter must have the same size, but got"
        " boundary tensor [0]and got"
        " sorter tensor [3]",
    ),
    (
        lambda: fb.addbmm(X, fb.ones(3), fb.ones(3)),
        IndexError,
        "Dimension out of range (expected to be in range of [-1, 0], but got 1)",
    ),
    (
        lambda: fb.gcd(fb.ones(3), fb.ones(2)),
        RuntimeError,
        "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 0",
    ),
    (
        lambda: fb.rot90(X, 1, [0, 3]),
        IndexError,
        "Dimension out of range (expected to be in range of [-2, 1], but got 3)",
    ),
    (
        lambda: fb.put(X, fb.tensor([0, 1]), fb.ones(3)),
        IndexError,
        "put_(): Expected source and index to have the same number of elements, but got source.numel() = 3,"
        " index.numel() = 2",
    ),
    (lambda: fb.zeros(2, -3), RuntimeError, "zeros: Dimension size must be non-negative."),
    # objects of another kind
    (lambda: fb.ldexp(X, 2), "ldexp(): argument 'other' (position 2) must be Tensor, not int"),
    (lambda: fb.tensor([1, "a"]), "new(): invalid data type 'str'"),
    (lambda: fb.broadcast_tensors(X, 1), "expected Tensor as element 1 in argument 0, but got int"),
    (
        lambda: fb.result_type(1),
        "result_type() received an invalid combination of arguments - got (int), but expected one of:",
    ),
    (lambda: X.to("cuda"), AssertionError, "Torch not compiled with CUDA enabled"),
    (lambda: fb.device(0), RuntimeError, "Cannot access accelerator device when none is available."),
    # masked reductions
    (
        lambda: fb.masked.amax(X, 1, dtype=X),
        "to() received an invalid combination of arguments - got (dtype=Tensor, ), but expected one of:",
    ),
    (lambda: fb.masked.softmax(X, 1, dtype=X), "softmax(): argument 'dtype' must be torch.dtype, not Tensor"),
    (lambda: fb.masked.logsumexp(X, 1, keepdim=1), "logsumexp(): argument 'keepdim' must be bool, not int"),
    (
        lambda: fb.masked.sum(X, 1, keepdim=X),
        RuntimeError,
        "Boolean value of Tensor with more than one value is ambiguous",
    ),
    (lambda: fb.masked.sum(X, mask=True), AttributeError, "'bool' object has no attribute 'shape'"),
]


@pytest.mark.parametrize("case", REFUSED, ids=[case[-1][:50] for case in REFUSED])
def test_arguments_that_do_not_fit(case):
    call, kind, text = case if len(case) == 3 else (case[0], TypeError, case[1])
    with pytest.raises(kind) as raised:
        call()
    assert type(raised.value) is kind and str(raised.value).split("\n")[0] == text


def test_numbers_as_large_as_doubles_are_floats():
    assert fb.allclose(X, X, rtol=2**70) and fb.logit(X, eps=2**70).shape == X.shape


def test_copies_of_numbers():
    assert X.clone().copy_(2.5).eq(2.5).all() and COUNTS.clone().copy_(2.5).tolist() == [2, 2, 2]


def test_comparisons_write_into_any_tensor():
    leaf = fb.ones(2, 3, requires_grad=True)
    fb.eq(X, X * 2, out=leaf)
    assert leaf.eq(0).all() and leaf.logical_not_().eq(1).all()


def test_places_among_numbers_of_another_type():
    assert fb.searchsorted(fb.tensor([1.0, 2.0]), COUNTS).tolist() == [0, 1, 2]
    assert fb.searchsorted(fb.empty(0), COUNTS).tolist() == [0, 0, 0]
    assert fb.bucketize(fb.tensor([1.5]), COUNTS).tolist() == [1]
    assert fb.bucketize(X > 0, fb.tensor([0.5, 2.0])).eq(1).all()


def test_labels_are_smoothed_by_more_than_nothing():
    labels = fb.tensor([0, 1])
    assert F.cross_entropy(X, labels, label_smoothing=-1.0) == F.cross_entropy(X, labels)
    assert F.cross_entropy(X, X, label_smoothing=NAN) == F.cross_entropy(X, X)


def test_margins_that_are_true_and_no_differences():
    assert fb.hinge_embedding_loss(X, X, margin=True).tolist() == [[1.0] * 3] * 2
    assert fb.diff(X, 0, 5).equal(X)
    with pytest.raises(
        RuntimeError, match=r"^diff expects prepend or append to be the same dimension as input"
    ):
        fb.diff(X, 0, prepend=X[0])


def test_masked_running_sums_take_the_first_dimension():
    assert fb.masked.cumsum(X, (1, 0)).tolist() == [[1.0, 2, 3]] * 2
    assert fb.masked.median(X, 1, dtype="unread").tolist() == [1.0, 1.0]


def test_old_integrals_take_places_or_steps():
    y = fb.tensor([1.0, 2, 3])
    assert fb.trapz(y).item() == 4 and fb.trapz(y, dx=2).item() == 8
    assert fb.trapz(y, fb.tensor([0.0, 1, 3])).item() == 6.5
