"""What follows the attention of a transformer's layer in one pass: nobody can tell."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.modules import _encoder_pass


def layer_of(width=32, heads=4, inner=72, **options):
    fb.manual_seed(3)
    layer = nn.TransformerEncoderLayer(width, heads, inner, batch_first=True, **options).eval()
    with fb.no_grad():
        for p in layer.parameters():
            p.normal_(std=0.3)
    return layer


def one_by_one(layer, *args, **kwargs):
    """With a hook that sees a part being called."""
    seen = []
    hook = layer.linear1.register_forward_hook(lambda *_: seen.append(1))
    with fb.no_grad():
        result = layer(*args, **kwargs)
    hook.remove()
    assert seen
    return result


def together(layer, *args, **kwargs):
    with fb.no_grad():
        layer(*args, **kwargs)
        return layer(*args, **kwargs)  # with the packed weights


LAYERS = {
    "relu": {},
    "gelu": {"activation": "gelu"},
    "norm first": {"norm_first": True, "activation": "gelu"},
    "no biases": {"bias": False},
    "many heads": {"width": 48, "heads": 8, "inner": 129},
    "narrow": {"width": 6, "heads": 3, "inner": 5, "layer_norm_eps": 1e-3},
    "rows of 4 kB": {"width": 128, "heads": 2, "inner": 1024},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 50), (2, 129)])
def test_results_are_those_of_the_modules(name, shape):
    layer = layer_of(**LAYERS[name])
    x = fb.randn(*shape, layer.linear1.in_features)
    with fb.no_grad():
        assert _encoder_pass.run(layer, x, None, None, False) is not None
    fb.testing.assert_close(together(layer, x), one_by_one(layer, x), rtol=1e-5, atol=1e-5)


def test_masks():
    layer, x = layer_of(activation="gelu"), fb.randn(3, 9, 32)
    causal = nn.Transformer.generate_square_subsequent_mask(9)
    padding = fb.zeros(3, 9, dtype=fb.bool)
    padding[1, 6:] = True
    each_head = fb.randn(12, 9, 9)
    for args in (
        {"src_mask": causal},
        {"src_mask": causal, "is_causal": True},
        {"src_key_padding_mask": padding},
        {"src_mask": causal, "src_key_padding_mask": padding, "is_causal": True},
        {"src_mask": each_head},
        {"src_mask": each_head, "src_key_padding_mask": padding},
    ):
        got = together(layer, x, **args)
        fb.testing.assert_close(got, one_by_one(layer, x, **args), rtol=1e-5, atol=1e-5)
    with fb.no_grad(), pytest.raises(RuntimeError, match="The shape of the 2D attn_mask is"):
        layer(x, src_mask=fb.zeros(8, 9))
    with fb.no_grad():  # the road of inference knows masks, not the hint
        fb.testing.assert_close(layer(x, is_causal=True), layer(x))
    with pytest.raises(RuntimeError, match="Need attn_mask if specifying the is_causal hint"):
        layer(x, is_causal=True)


def test_views_and_written_weights():
    layer, x = layer_of(), fb.randn(4, 5, 64)[:, :, ::2]
    fb.testing.assert_close(together(layer, x), one_by_one(layer, x), rtol=1e-5, atol=1e-5)
    x = fb.randn(5, 4, 32).transpose(0, 1)
    fb.testing.assert_close(together(layer, x), one_by_one(layer, x), rtol=1e-5, atol=1e-5)
    before = together(layer, x)
    with fb.no_grad():
        layer.linear1.weight.mul_(2)
        layer.self_attn.out_proj.weight[0].zero_()
    after = together(layer, x)
    assert not fb.equal(before, after)
    fb.testing.assert_close(after, one_by_one(layer, x), rtol=1e-5, atol=1e-5)
    after.add_(1)  # it is nobody else's


def test_numbers_of_pytorch():
    layer = nn.TransformerEncoderLayer(4, 2, 3, activation="gelu", batch_first=True).eval()
    with fb.no_grad():
        for i, p in enumerate(layer.parameters()):
            p.copy_(fb.linspace(-1, 1.5 + 0.1 * i, p.numel()).sin().view(p.shape))
        x = fb.linspace(-2, 2, 24).cos().view(2, 3, 4)
        got = layer(x)
    expected = [
        [
            [0.420626, 0.146149, 1.882003, 1.050546],
            [0.420792, 0.146203, 1.879017, 1.052308],
            [0.420816, 0.146211, 1.878768, 1.052448],
        ],
        [
            [0.420742, 0.146188, 1.880359, 1.051501],
            [0.420681, 0.146168, 1.881487, 1.050833],
            [0.420545, 0.146125, 1.883838, 1.049445],
        ],
    ]
    fb.testing.assert_close(got, fb.tensor(expected), rtol=1e-5, atol=1e-5)


def test_who_changes_a_part_is_heard():
    x = fb.randn(2, 5, 32)

    class Doubled(nn.TransformerEncoderLayer):
        def _ff_block(self, x):
            return 2 * super()._ff_block(x)

    class Louder(nn.Linear):
        def forward(self, input):
            return 3 * super().forward(input)

    def refuses(layer):
        with fb.no_grad():
            return _encoder_pass.run(layer, x, None, None, False) is None

    assert not Doubled(32, 4, batch_first=True)._is_plain()
    layer = layer_of()
    layer.linear2 = Louder(72, 32)
    assert refuses(layer)
    layer = layer_of()
    layer.norm1.forward = lambda t: t
    assert refuses(layer)
    assert refuses(layer_of().train())
    assert refuses(nn.TransformerEncoderLayer(32, 4).eval())
    assert refuses(layer_of(activation=lambda t: t))
    assert refuses(layer_of().double())
    assert not refuses(layer_of())


def test_gradients_go_through_the_modules():
    layer, x = layer_of(), fb.randn(2, 5, 32, requires_grad=True)
    layer(x).sum().backward()
    assert all(p.grad is not None for p in layer.parameters()) and x.grad is not None


def test_the_operator_itself_has_gradients():
    def run(x, dtype):
        fb.manual_seed(5)
        t = [fb.randn(*s, dtype=dtype, requires_grad=True) for s in
             [(4, 4), (4,), (4,), (4,), (6, 4), (6,), (4, 6), (4,), (4,), (4,)]]  # fmt: skip
        return t, fb._after_attention(x * 0.5, x, *t, 1e-5, 1e-5, False, "relu")

    x = fb.randn(3, 4, requires_grad=True)
    t, y = run(x, fb.float32)
    with fb.no_grad():
        fb.testing.assert_close(run(x, fb.float32)[1], y)
    y.sum().backward()
    assert all(p.grad is not None for p in (x, *t))
    assert run(x.double(), fb.float64)[1].dtype is fb.float64
    with pytest.raises(RuntimeError, match="activation should be relu or gelu"):
        fb._after_attention(x, x, *t, 1e-5, 1e-5, False, "tanh")


def test_compile_records_it_as_one_step():
    layer, x = layer_of(activation="gelu"), fb.randn(2, 9, 32)
    compiled = fb.compile(layer)
    with fb.no_grad():
        for _ in range(8):
            fb.testing.assert_close(compiled(x), layer(x), rtol=1e-5, atol=1e-5)
        layer.norm2.register_forward_hook(lambda m, i, o: o + 1)
        fb.testing.assert_close(compiled(x), layer(x), rtol=1e-5, atol=1e-5)


def test_jit_trace_writes_the_operators():
    layer, x = layer_of(), fb.randn(2, 9, 32)
    traced = fb.jit.trace(layer, x)
    assert "_after_attention" not in str(traced.graph)
    with fb.no_grad():
        fb.testing.assert_close(traced(x), layer(x), rtol=1e-5, atol=1e-5)
