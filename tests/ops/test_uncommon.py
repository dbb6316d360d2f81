"""Operators that few programs use: values are PyTorch 2.13's."""

import pytest

import flambeau as fb

from .compare import same

A = fb.tensor([[2.0, 1], [1, 3]])
S = fb.eye(2).to_sparse()
BIG = fb.diag(fb.arange(1.0, 31, dtype=fb.float64)) + 0.1


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: fb.crow_indices_copy(fb.eye(2).to_sparse_csr()), [0, 1, 2]),
        (lambda: fb.row_indices_copy(fb.eye(2).to_sparse_csc()), [0, 1]),
        (lambda: fb.native_norm(S), 1.4142135),
        (lambda: fb.native_norm(S, 1), 2.0),
        (lambda: fb.hspmm(S, A).coalesce().values(), [[2, 1], [1, 3]]),
        (lambda: fb.spmm(S, A), [[2, 1], [1, 3]]),
        (lambda: S.sspaddmm(S, A, beta=2, alpha=3), [[8, 3], [3, 11]]),
        (lambda: S.clone().sparse_resize_((3, 3), 2, 0), [[1, 0, 0], [0, 1, 0], [0, 0, 0]]),
        (lambda: S.clone().sparse_resize_and_clear_((1, 2), 2, 0), [[0, 0]]),
        (lambda: fb.slice_inverse(fb.arange(5.0)[1:3], fb.zeros(5), 0, 1, 3), [0, 1, 2, 3, 4]),
        (lambda: A.clone().map2_(A, A, lambda x, y, z: x + y * z), [[6, 2], [2, 12]]),
        (lambda: fb.cond(fb.tensor(False), lambda x: x + 1, lambda x: x - 1, (A,)), [[1, 0], [0, 2]]),
        (lambda: fb.lobpcg(BIG, k=3)[0], [30.159526, 29.134666, 28.125466]),
    ],
)
def test_values(call, expected):
    same(call(), expected)


def test_eigenvectors_of_large_matrices():
    fb.manual_seed(0)
    b = fb.eye(30, dtype=fb.float64) * 2
    values, vectors = fb.lobpcg(BIG, k=2, B=b, largest=False)
    assert (BIG @ vectors - b @ vectors * values).abs().max() < 1e-4
    assert [t.shape for t in fb.lobpcg(fb.stack([BIG, BIG]), k=2)] == [(2, 2), (2, 30, 2)]
    with pytest.raises(ValueError, match="is smaller than 3 x the number"):
        fb.lobpcg(BIG[:5, :5], k=3)


def test_statistics_move_towards_the_batch():
    mean, var = fb.zeros(3), fb.ones(3)
    x = fb.arange(12.0).reshape(4, 3).sin()
    got = fb.batch_norm_update_stats(x, mean, var, 0.1)
    same(got[0], x.mean(0).tolist())
    same(mean, (x.mean(0) * 0.1).tolist())
    same(var, (0.9 + x.var(0) * 0.1).tolist())


def test_memory_of_a_file(tmp_path):
    name = tmp_path / "numbers"
    fb.from_file(str(name), shared=True, size=4).fill_(1)
    private = fb.from_file(str(name), size=4)
    private[0] = 7
    assert fb.from_file(str(name), size=4).tolist() == [1, 1, 1, 1]
    with pytest.raises(RuntimeError, match="is smaller than the required mapping size"):
        fb.from_file(str(name), size=8)
    with pytest.raises(RuntimeError, match="unable to open file"):
        fb.from_file(str(tmp_path / "absent"), size=1)


def test_removed_functions_name_the_new_ones():
    for name, args in (("eig", ()), ("solve", (A,)), ("lstsq", (A,)), ("symeig", ())):
        for call in (getattr(fb, name), getattr(fb.Tensor, name)):
            with pytest.raises(RuntimeError, match="is now removed") as e:
                call(A, *args)
            assert "torch.linalg." in str(e.value)


def test_sparse_operators_refuse_strided_tensors():
    with pytest.raises(NotImplementedError, match="aten::native_norm"):
        fb.native_norm(A)
    with pytest.raises(RuntimeError, match="shrinking the size of sparse dimensions"):
        fb.eye(3).to_sparse().resize_as_sparse_(S)


def test_streams_of_the_cpu():
    with fb.Stream() as stream:
        first, last = fb.Event(enable_timing=True), fb.Event(enable_timing=True)
        first.record()
        stream.record_event(last)
    assert first.elapsed_time(last) >= 0 and stream.query() and stream == fb.Stream("cpu")
    assert repr(stream) == "torch.Stream device_type=cpu, device_index=-1, stream_id=0"
    with pytest.raises(ValueError, match="enable_timing=True"):
        fb.Event().elapsed_time(last)
    assert not isinstance(3, fb.SymInt)
    with pytest.raises(NotImplementedError, match="SymInt"):
        fb.SymInt(3)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_shifts_by_every_distance(dtype):
    bits = fb.iinfo(getattr(fb, dtype)).bits
    values = [0, 1, 5, 100, 127] + ([-1, -7, -128] if dtype != "uint8" else [200, 255])
    x = fb.tensor(values, dtype=getattr(fb, dtype)).repeat(9)
    for by in range(bits + 2):
        wide = by >= bits
        left = [0 if wide else (v << by) & ((1 << bits) - 1) for v in values]
        right = [(-1 if v < 0 else 0) if wide else v >> by for v in values]
        unsigned = [v & ((1 << bits) - 1) for v in (x << by)[: len(values)].tolist()]
        assert unsigned == left and (x >> by).tolist() == right * 9
        assert ((x << by) == (x << fb.full_like(x, by))).all() and (
            (x >> by) == (x >> fb.full_like(x, by))
        ).all()
