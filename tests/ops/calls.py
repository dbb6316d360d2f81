# ruff: noqa: E501 (rows of calls)
"""A call for every operator of the core that `samples.operators` leaves out and that the schema alone cannot fill in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import _C

N = _C._nn
X = fb.linspace(0.1, 0.9, 6).reshape(2, 3)  # in (0, 1): a probability, a rate, a logarithm's argument
V = fb.linspace(0.1, 0.9, 3)
I = fb.tensor([[0, 1, 2], [2, 1, 0]])
J = fb.tensor([0, 2, 1])
S = fb.eye(3) * 2 + 0.3  # a regular, symmetric matrix
P1, P2, P3 = fb.rand(2, 4, 6), fb.rand(2, 4, 6, 6), fb.rand(1, 2, 4, 4, 4)  # pictures
W1, W2, W3 = fb.rand(4, 4, 3), fb.rand(4, 4, 3, 3), fb.rand(2, 2, 3, 3, 3)
M = X > 0.5
LOG = fb.rand(5, 2, 4).log_softmax(-1)
HX = fb.zeros(1, 2, 4)
SEQ = fb.rand(5, 2, 3)
F64 = fb.float64


def weights(gates: int) -> list[Any]:
    """The parameters of a recurrent layer of 3 inputs and 4 units."""
    return [fb.rand(gates * 4, 3), fb.rand(gates * 4, 4), fb.rand(gates * 4), fb.rand(gates * 4)]


PACKED, SIZES = fb.rand(8, 3), fb.tensor([2, 2, 2, 1, 1])
ONE, THREE, FOUR = weights(1), weights(3), weights(4)


def state(count: int) -> list[list[Any]]:
    """`count` lists of the tensors of an optimizer, and their steps."""
    return [[fb.rand(3), fb.rand(2, 2)] for _ in range(count)]


def steps() -> list[Any]:
    return [fb.tensor(1.0), fb.tensor(1.0)]


def scalars(value: float) -> list[Any]:
    return [fb.tensor(value), fb.tensor(value)]


PAIRS = [[2, 2], [1, 1], [1, 1], [1, 1]]
CALLS: dict[str, Callable[[], Any]] = {
    "prelu": lambda: fb.prelu(X, V[:1]),
    "_prelu_kernel": lambda: fb._prelu_kernel(X, V[:1]),
    "_linalg_eigvalsh": lambda: fb._linalg_eigvalsh(fb.eye(3)),
    "_lu_permutation": lambda: fb._lu_permutation(fb.tensor([2, 3, 3], dtype=fb.int32), 3),
    "_after_attention": lambda: fb._after_attention(
        X, X, S, None, None, None, S, None, S, None, None, None, 1e-5, 1e-5, True, "relu"
    ),
    "nn::scaled_dot_product_attention": lambda: N.scaled_dot_product_attention(P2, P2, P2),
    "_box_suppress": lambda: fb._box_suppress(fb.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1.9], [3, 3, 4, 4]]), 0.5),
    "_quantized_levels": lambda: fb._quantized_levels(X, 10.0, 3, 0, 255, False),
    "_quantized_numbers": lambda: fb._quantized_numbers(I.to(fb.uint8), 0.5, 3.0, False),
    "_quantized_pair": lambda: fb._quantized_pair(
        *[I.to(fb.uint8)] * 2, 1.0, 3.0, 1.0, 3.0, 0.1, 3, True, False
    ),
    "_quantized_pack": lambda: fb._quantized_pack(fb.ones(3, 4, dtype=fb.int16)),
    "_quantized_linear": lambda: fb._quantized_linear(
        fb.ones(2, 4, dtype=fb.uint8), 3, fb._quantized_pack(fb.ones(3, 4, dtype=fb.int16)), 3
    ),
    "_quantized_conv": lambda: fb._quantized_conv(
        fb.ones(1, 4, 3, 3, dtype=fb.uint8), 3, fb._quantized_pack(fb.ones(3, 16, dtype=fb.int16)), 3, *PAIRS
    ),
    "_quantized_sums": lambda: fb._quantized_sums(X, X, X, 3, True),
    "bitwise_and.Tensor": lambda: fb.bitwise_and(I, I),
    "bitwise_or.Tensor": lambda: fb.bitwise_or(I, I),
    "bitwise_xor.Tensor": lambda: fb.bitwise_xor(I, I),
    "bitwise_left_shift.Tensor": lambda: fb.bitwise_left_shift(I, I),
    "bitwise_right_shift.Tensor": lambda: fb.bitwise_right_shift(I, I),
    "bitwise_not": lambda: fb.bitwise_not(I),
    "gcd": lambda: fb.gcd(I, I + 4),
    "lcm": lambda: fb.lcm(I, I + 4),
    "conv1d": lambda: fb.conv1d(P1, W1),
    "conv2d": lambda: fb.conv2d(P2, W2, padding=1),
    "conv3d": lambda: fb.conv3d(P3, W3),
    "conv1d.padding": lambda: fb.conv1d(P1, W1, padding="same"),
    "conv2d.padding": lambda: fb.conv2d(P2, W2, padding="valid"),
    "conv3d.padding": lambda: fb.conv3d(P3, W3, padding="same"),
    "conv_transpose1d": lambda: fb.conv_transpose1d(P1, W1, stride=2),
    "conv_transpose2d.input": lambda: fb.conv_transpose2d(P2, W2, stride=2),
    "conv_transpose3d.input": lambda: fb.conv_transpose3d(P3, W3),
    "conv_tbc": lambda: fb.conv_tbc(SEQ, fb.ones(2, 3, 4), fb.zeros(4)),
    "empty_strided": lambda: fb.empty_strided([2, 3], [3, 1]),
    "full": lambda: fb.full([2, 3], 1.5),
    "scalar_tensor": lambda: fb.scalar_tensor(2.5),
    "full_like": lambda: fb.full_like(X, 3),
    "new_empty_strided": lambda: X.new_empty_strided([2, 2], [2, 1]),
    "new_full": lambda: X.new_full([4], 2),
    "arange": lambda: fb.arange(9),
    "arange.start": lambda: fb.arange(1, 9),
    "arange.start_step": lambda: fb.arange(1, 9, 2),
    "linspace": lambda: fb.linspace(0, 1, 7),
    "_triangle_indices": lambda: fb.tril_indices(4, 4),
    "eye.m": lambda: fb.eye(3, 4),
    "to.dtype": lambda: X.to(F64),
    "ctc_loss.Tensor": lambda: fb.ctc_loss(LOG, I[:, :2] + 1, fb.tensor([5, 4]), fb.tensor([2, 1])),
    "ctc_loss.IntList": lambda: fb.ctc_loss(LOG, I[:, :2] + 1, [5, 4], [2, 1]),
    "bilinear": lambda: fb.bilinear(X, X, fb.ones(4, 3, 3), None),
    "dropout": lambda: fb.dropout(X, 0.5, True),
    "dropout_": lambda: fb.dropout_(X.clone(), 0.5, True),
    "feature_dropout": lambda: fb.feature_dropout(P2, 0.5, True),
    "feature_dropout_": lambda: fb.feature_dropout_(P2.clone(), 0.5, True),
    "alpha_dropout": lambda: fb.alpha_dropout(X, 0.5, True),
    "alpha_dropout_": lambda: fb.alpha_dropout_(X.clone(), 0.5, True),
    "feature_alpha_dropout": lambda: fb.feature_alpha_dropout(P2, 0.5, True),
    "feature_alpha_dropout_": lambda: fb.feature_alpha_dropout_(P2.clone(), 0.5, True),
    "native_dropout": lambda: fb.native_dropout(X, 0.5, True),
    "native_dropout_backward": lambda: fb.native_dropout_backward(X, M, 2.0),
    "embedding_renorm_": lambda: fb.embedding_renorm_(fb.ones(4, 3), J, 1.0, 2.0),
    "nn::one_hot": lambda: N.one_hot(I),
    "pixel_shuffle": lambda: fb.pixel_shuffle(P2, 2),
    "pixel_unshuffle": lambda: fb.pixel_unshuffle(P2, 2),
    "channel_shuffle": lambda: fb.channel_shuffle(P2, 2),
    "native_channel_shuffle": lambda: fb.native_channel_shuffle(P2, 2),
    "grid_sampler": lambda: fb.grid_sampler(P2, fb.rand(2, 3, 3, 2), 0, 0, False),
    "grid_sampler_2d": lambda: fb.grid_sampler_2d(P2, fb.rand(2, 3, 3, 2), 0, 1, True),
    "grid_sampler_3d": lambda: fb.grid_sampler_3d(P3, fb.rand(1, 2, 2, 2, 3), 0, 0, False),
    "affine_grid_generator": lambda: fb.affine_grid_generator(fb.rand(2, 2, 3), [2, 4, 5, 5], False),
    "where.method": lambda: X.where(M, -X),
    "linalg::det": lambda: fb.linalg.det(S),
    "det": lambda: fb.det(S),
    "linalg::ldl_factor_ex": lambda: fb.linalg.ldl_factor_ex(S),
    "linalg::ldl_solve": lambda: fb.linalg.ldl_solve(*fb.linalg.ldl_factor(S), S),
    "linalg::solve": lambda: fb.linalg.solve(S, S),
    "_linear_chain": lambda: fb._linear_chain(X, [S, S], [V, None], "relu none", False),
    "outer": lambda: fb.outer(V, V),
    "ger": lambda: fb.ger(V, V),
    "matmul": lambda: fb.matmul(X, S),
    "nn::linear": lambda: N.linear(X, S, V),
    "nn::nll_loss": lambda: N.nll_loss(S, J),
    "nn::nll_loss2d": lambda: N.nll_loss2d(P2, fb.zeros(2, 6, 6, dtype=fb.long)),
    "nn::nll_loss_nd": lambda: N.nll_loss_nd(P2, fb.zeros(2, 6, 6, dtype=fb.long)),
    "nn::cross_entropy_loss": lambda: N.cross_entropy_loss(S, J, V, label_smoothing=0.1),
    "batch_norm": lambda: fb.batch_norm(P2, None, None, fb.zeros(4), fb.ones(4), True, 0.1, 1e-5, True),
    "instance_norm": lambda: fb.instance_norm(P2, None, None, None, None, True, 0.1, 1e-5, True),
    "layer_norm": lambda: fb.layer_norm(X, [3], V, V),
    "rms_norm": lambda: fb.rms_norm(X, [3], V),
    "group_norm": lambda: fb.group_norm(P2, 2),
    "_convolution_norm": lambda: fb._convolution_norm(
        P2, W2, None, None, None, fb.zeros(4), fb.ones(4), 1e-5, [1, 1], [1, 1], [1, 1], 1, 0.0, 6.0, False
    ),
    "_fused_adam": lambda: fb._fused_adam(
        *state(4), [], steps(), 0.1, 0.9, 0.99, 1e-8, 0.1, False, False, True
    ),
    "_fused_sgd": lambda: fb._fused_sgd(*state(3), 0.1, 0.1, 0.9, 0.0, True, False, False),
    "_fused_rmsprop": lambda: fb._fused_rmsprop(*state(5), steps(), 0.1, 0.9, 1e-8, 0.1, 0.9, False),
    "_fused_adagrad": lambda: fb._fused_adagrad(*state(3), steps(), 0.1, 0.0, 0.0, 1e-8, False),
    "_fused_adadelta": lambda: fb._fused_adadelta(*state(4), steps(), 0.1, 0.9, 1e-8, 0.1, False),
    "_fused_adamax": lambda: fb._fused_adamax(*state(4), steps(), 0.1, 0.9, 0.99, 1e-8, 0.1, False),
    "_fused_nadam": lambda: fb._fused_nadam(
        *state(4), scalars(1.0), steps(), 0.1, 0.9, 0.99, 1e-8, 0.1, 0.004, False, False
    ),
    "_fused_radam": lambda: fb._fused_radam(*state(4), steps(), 0.1, 0.9, 0.99, 1e-8, 0.1, False, False),
    "_fused_asgd": lambda: fb._fused_asgd(
        *state(3), scalars(0.1), scalars(1.0), steps(), 0.1, 1e-4, 0.75, 1e6, 0.1, False
    ),
    "_fused_rprop": lambda: fb._fused_rprop(*state(4), steps(), 0.5, 1.2, 1e-6, 50.0, False),
    "nn::pad": lambda: N.pad(X, [1, 1]),
    "nn::reflection_pad1d": lambda: N.reflection_pad1d(P1, [1, 2]),
    "nn::reflection_pad2d": lambda: N.reflection_pad2d(P2, [1, 2, 1, 1]),
    "nn::reflection_pad3d": lambda: N.reflection_pad3d(P3, [1, 2, 1, 1, 1, 1]),
    "nn::replication_pad1d": lambda: N.replication_pad1d(P1, [1, 2]),
    "nn::replication_pad2d": lambda: N.replication_pad2d(P2, [1, 2, 1, 1]),
    "nn::replication_pad3d": lambda: N.replication_pad3d(P3, [1, 2, 1, 1, 1, 1]),
    "max_pool1d": lambda: fb.max_pool1d(P1, 2),
    "max_pool1d_with_indices": lambda: fb.max_pool1d_with_indices(P1, 2),
    "avg_pool1d": lambda: fb.avg_pool1d(P1, 2),
    "adaptive_avg_pool1d": lambda: fb.adaptive_avg_pool1d(P1, 2),
    "nn::adaptive_avg_pool2d": lambda: N.adaptive_avg_pool2d(P2, 2),
    "nn::adaptive_avg_pool3d": lambda: N.adaptive_avg_pool3d(P3, 2),
    "adaptive_max_pool1d": lambda: fb.adaptive_max_pool1d(P1, 2),
    "promote_types": lambda: fb.promote_types(fb.int8, fb.float16),
    "can_cast": lambda: fb.can_cast(fb.int8, fb.float16),
    "fake_quantize_per_tensor_affine": lambda: fb.fake_quantize_per_tensor_affine(X, 0.1, 0, 0, 255),
    "fake_quantize_per_tensor_affine.tensor_qparams": lambda: fb.fake_quantize_per_tensor_affine(
        X, V[0], J[0], 0, 255
    ),
    "fake_quantize_per_channel_affine": lambda: fb.fake_quantize_per_channel_affine(X, V, J.int(), 1, 0, 255),
    "randint": lambda: fb.randint(9, [2, 3]),
    "randint.low": lambda: fb.randint(1, 9, [2, 3]),
    "randint_like": lambda: fb.randint_like(X, 9),
    "randint_like.Tensor": lambda: fb.randint_like(X, fb.tensor(9)),
    "randint_like.low_dtype": lambda: fb.randint_like(X, 1, 9),
    "normal.Tensor_Tensor": lambda: fb.normal(X, X),
    "normal.Tensor_float": lambda: fb.normal(X, 1.0),
    "normal.float_Tensor": lambda: fb.normal(0.0, X),
    "normal.float_float": lambda: fb.normal(0.0, 1.0, [2, 3]),
    "geometric_": lambda: X.clone().geometric_(0.5),
    "random_.from": lambda: X.clone().random_(1, 9),
    "random_.to": lambda: X.clone().random_(9),
    "bernoulli_.Tensor": lambda: X.clone().bernoulli_(X),
    "bernoulli_.float": lambda: X.clone().bernoulli_(0.5),
    "bernoulli": lambda: fb.bernoulli(X),
    "bernoulli.p": lambda: fb.bernoulli(X, 0.5),
    "multinomial": lambda: fb.multinomial(X, 2),
    "poisson": lambda: fb.poisson(X),
    "var": lambda: fb.var(X, True),
    "var.dim": lambda: fb.var(X, 1, True),
    "std": lambda: fb.std(X, True),
    "std.dim": lambda: fb.std(X, 1, True),
    "var_mean": lambda: fb.var_mean(X, True),
    "var_mean.dim": lambda: fb.var_mean(X, 1, True),
    "std_mean": lambda: fb.std_mean(X, True),
    "std_mean.dim": lambda: fb.std_mean(X, 1, True),
    "lstm.data": lambda: fb.lstm(PACKED, SIZES, [HX, HX], FOUR, True, 1, 0.0, False, False),
    "lstm.input": lambda: fb.lstm(SEQ, [HX, HX], FOUR, True, 1, 0.0, False, False, False),
    "gru.data": lambda: fb.gru(PACKED, SIZES, HX, THREE, True, 1, 0.0, False, False),
    "gru.input": lambda: fb.gru(SEQ, HX, THREE, True, 1, 0.0, False, False, False),
    "rnn_tanh.data": lambda: fb.rnn_tanh(PACKED, SIZES, HX, ONE, True, 1, 0.0, False, False),
    "rnn_tanh.input": lambda: fb.rnn_tanh(SEQ, HX, ONE, True, 1, 0.0, False, False, False),
    "rnn_relu.data": lambda: fb.rnn_relu(PACKED, SIZES, HX, ONE, True, 1, 0.0, False, False),
    "rnn_relu.input": lambda: fb.rnn_relu(SEQ, HX, ONE, True, 1, 0.0, False, False, False),
    "lstm_cell": lambda: fb.lstm_cell(SEQ[0], [HX[0], HX[0]], *FOUR),
    "gru_cell": lambda: fb.gru_cell(SEQ[0], HX[0], *THREE),
    "rnn_tanh_cell": lambda: fb.rnn_tanh_cell(SEQ[0], HX[0], *ONE),
    "rnn_relu_cell": lambda: fb.rnn_relu_cell(SEQ[0], HX[0], *ONE),
    "scatter.reduce": lambda: fb.scatter(X, 1, I, X, reduce="add"),
    "scatter.value_reduce": lambda: fb.scatter(X, 1, I, 2.0, reduce="multiply"),
    "index_reduce": lambda: fb.index_reduce(X, 1, J, X, "amax"),
    "_bincount": lambda: fb.bincount(J, minlength=5),
    "_softmax_backward_data": lambda: fb._softmax_backward_data(X, X, 1, fb.float32),
    "_log_softmax_backward_data": lambda: fb._log_softmax_backward_data(X, X, 1, fb.float32),
    "argsort.stable": lambda: fb.argsort(X, stable=True),
    "searchsorted": lambda: fb.searchsorted(V, X),
    "bucketize": lambda: fb.bucketize(X, V),
    "view.dtype": lambda: X.view(fb.int32),
    "broadcast_to": lambda: fb.broadcast_to(X, [4, 2, 3]),
    "narrow": lambda: fb.narrow(X, 1, 0, 2),
    "narrow.Tensor": lambda: fb.narrow(X, 1, fb.tensor(0), 2),
    "chunk": lambda: fb.chunk(X, 2),
    "addmm.dtype": lambda: fb.addmm(X @ X.T, X, X.T, fb.float32),
    "baddbmm.dtype": lambda: fb.baddbmm((X @ X.T)[None], X[None], X.T[None], fb.float32),
    "bmm.dtype": lambda: fb.bmm(X[None], X.T[None], fb.float32),
    "mm.dtype": lambda: fb.mm(X, X.T, fb.float32),
    "column_stack": lambda: fb.column_stack([X, X]),
    "dsplit.array": lambda: fb.dsplit(X[None], [1]),
    "dsplit.int": lambda: fb.dsplit(X[None], 1),
    "dstack": lambda: fb.dstack([X, X]),
    "hsplit.array": lambda: fb.hsplit(X, [1]),
    "hsplit.int": lambda: fb.hsplit(X, 1),
    "hstack": lambda: fb.hstack([X, X]),
    "row_stack": lambda: fb.row_stack([X, X]),
    "tensor_split.indices": lambda: fb.tensor_split(X, [1]),
    "tensor_split.sections": lambda: fb.tensor_split(X, 2),
    "tensor_split.tensor_indices_or_sections": lambda: fb.tensor_split(X, fb.tensor(2)),
    "vsplit.array": lambda: fb.vsplit(X, [1]),
    "vsplit.int": lambda: fb.vsplit(X, 1),
    "vstack": lambda: fb.vstack([X, X]),
    "movedim.intlist": lambda: fb.movedim(P2, [0, 1], [1, 0]),
    "movedim.int": lambda: fb.movedim(P2, 0, 1),
}
