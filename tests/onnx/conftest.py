"""Both packages are optional: what needs them is skipped without them."""

import pytest


@pytest.fixture
def onnx():
    # this folder is an "onnx", too
    pytest.importorskip("onnx.helper", reason="the package onnx is not installed")
    return pytest.importorskip("onnx", reason="the package onnx is not installed")


@pytest.fixture
def runs_alike(onnx):
    """Export, check the model, compare onnxruntime and the model read again with the program, for
    each example."""
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    import flambeau as torch
    from flambeau.jit._program import take_apart

    def check(model, *examples, shapes=None, tolerance=1e-4, **options):
        if isinstance(model, torch.nn.Module):
            model.eval()
        program = torch.onnx.export(model, examples[0], dynamic_shapes=shapes, **options)
        onnx.checker.check_model(program.model_proto, full_check=True)
        read = torch.onnx.load(program.model_proto)
        for args in examples:
            wanted, given, again, inputs = [], [], [], []
            with torch.no_grad():
                structure = take_apart(model(*args), wanted)
                take_apart(args, inputs)
                take_apart(read(*inputs), again)
            assert take_apart(program(*args), given) == structure
            for w, *others in zip(wanted, given, again, strict=True):
                for g in others:
                    assert (w.shape, w.dtype) == (g.shape, g.dtype)
                    torch.testing.assert_close(g, w, rtol=tolerance, atol=tolerance, equal_nan=True)
        return program

    return check
