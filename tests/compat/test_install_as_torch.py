import importlib
import importlib.metadata
import subprocess
import sys

import pytest

import flambeau as fb
from flambeau import compat


def run(*args, **kw):
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=120, **kw)


def test_modules_keep_their_identity():
    spec = fb.__spec__
    with fb.install_as_torch():
        import torch
        import torch.nn.functional as F
        import torchvision.transforms as transforms
        from torch.utils.data import DataLoader

        assert torch is fb and torch.nn is fb.nn and F is fb.nn.functional
        assert DataLoader is fb.utils.data.DataLoader and transforms is importlib.import_module(
            "flambeau.vision.transforms"
        )
        assert fb.__spec__ is spec and fb.__name__ == "torch"
        assert importlib.metadata.version("torch") == fb.__version__
        assert importlib.util.find_spec("torch") is not None
        assert compat.is_installed()
        assert (
            str(torch.Tensor) == "<class 'torch.Tensor'>"
            and repr(type(torch.Size())) == "<class 'torch.Size'>"
        )
    assert not compat.is_installed() and fb.__name__ == "flambeau"
    assert str(fb.Tensor) == "<class 'flambeau.Tensor'>"
    assert "torch" not in sys.modules and "torch.nn" not in sys.modules


def test_nesting_and_what_was_there_before():
    import types

    before = types.ModuleType("torch")
    sys.modules["torch"] = before
    try:
        with fb.install_as_torch(), fb.install_as_torch():
            import torch

            assert torch is fb
        import torch

        assert torch is before
    finally:
        sys.modules.pop("torch", None)


def test_missing_names_say_so():
    with fb.install_as_torch():
        import torch

        with pytest.raises(
            AttributeError, match=r"(?s)module 'torch' has no attribute 'no_such'\n.*not there yet in fl"
        ):
            torch.no_such  # noqa: B018
        with pytest.raises(
            AttributeError, match=r"module 'torch.nn.functional' has no attribute 'no_function'"
        ):
            torch.nn.functional.no_function()
        with pytest.raises(ModuleNotFoundError, match=r"No module named 'torch.no_module'"):
            import torch.no_module
        with pytest.raises(ImportError, match=r"NoLayer"):
            exec("from torch.nn import NoLayer")
        assert not hasattr(torch, "perhaps")
    missing = compat.missing_names()
    assert {"torch.no_such", "torch.no_module", "torch.nn.NoLayer", "torch.perhaps"} <= set(missing)
    with pytest.raises(AttributeError) as caught:
        fb.nn.functional.no_function()
    assert "python -m flambeau" not in str(caught.value)


SCRIPT = """
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

class Doubles(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return torch.tensor([2 * i])

if __name__ == "__main__":
    method = sys.argv[1]
    print(__name__, torch.__name__, nn.Linear is torch.nn.Linear, hasattr(torch, "no_such_name"))
    for batch in DataLoader(Doubles(), batch_size=2, num_workers=1, multiprocessing_context=method):
        print(batch.flatten().tolist())
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_running_a_script(tmp_path, method):
    script = tmp_path / "program.py"
    script.write_text(SCRIPT)
    result = run("-m", "flambeau", "--missing-report", str(script), method)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["__main__ torch True False", "[0, 2]", "[4, 6]"]
    assert "1 names were asked for in vain\n     1  torch.no_such_name" in result.stderr


def test_running_code_and_errors(tmp_path):
    result = run(
        "-m", "flambeau", "-c", "import sys, torch; print(torch.ones(2).sum().item(), sys.argv)", "x"
    )
    assert result.stdout == "2.0 ['-c', 'x']\n", result.stderr
    script = tmp_path / "exits.py"
    script.write_text("import torch, sys\nsys.exit(3)")
    assert run("-m", "flambeau", str(script)).returncode == 3
    script.write_text("import torch\ntorch.nothing_like_it")
    result = run("-m", "flambeau", str(script))
    assert result.returncode == 1 and "torch.nothing_like_it is not there yet in flambeau" in result.stderr
    assert run("-m", "flambeau", "no-such-file.py").returncode == 2
    report = tmp_path / "missing.txt"
    run("-m", "flambeau", f"--missing-report={report}", str(script))
    assert "torch.nothing_like_it" in report.read_text()


_PICKLES = """
import pickle, pickletools
import flambeau
with flambeau.install_as_torch():
    import torch
    from torch import nn
    from torch.utils.data import DataLoader
    linear = nn.Linear(2, 2)
    kept = [
        torch.arange(6.0).view(2, 3)[:, 1:], torch.ones(2, dtype=torch.bfloat16, requires_grad=True),
        nn.Parameter(torch.ones(2)), torch.ones(2).storage(), torch.ones(2, dtype=torch.uint16),
        torch.empty(2, device="meta"), torch.ones(2, dtype=torch.complex64).conj(), linear,
        nn.TransformerEncoderLayer(4, 2, 8), torch.optim.Adam(linear.parameters()), torch.float16,
        torch.channels_last, torch.strided, torch.per_tensor_affine, torch.relu, nn.functional.relu,
        linear.state_dict(), nn.Module,
        torch.optim.lr_scheduler.StepLR(torch.optim.SGD(linear.parameters(), 0.1), 1),
        torch.max(torch.ones(2, 2), 0), torch.Size([2]), torch.distributions.Normal(0.0, 1.0),
        torch.nn.utils.rnn.pack_sequence([torch.ones(2)]), torch.utils.data.RandomSampler([1]),
    ]
    for one in kept:
        data = pickle.dumps(one)
        words = [a for _, a, _ in pickletools.genops(data) if isinstance(a, str)]
        assert not any("flambeau" in w for w in words), (one, words)
        again = pickle.loads(data)
        assert type(again) is type(one)
        if isinstance(one, torch.Tensor) and not one.is_meta:
            assert torch.equal(again, one) and again.dtype == one.dtype
            assert again.requires_grad == one.requires_grad
    assert type(linear).__module__ == "torch.nn.modules.linear"
    assert repr(nn.Module).startswith("<class 'torch.nn")
    assert nn.functional.conv1d.__module__ in ("torch", "torch.nn.functional")
    import inspect, typing
    assert "class Linear" in inspect.getsource(nn.Linear) and typing.get_type_hints(nn.Linear.__init__)
    import torch.fx  # loaded while the name holds
    assert torch.fx.Graph.__module__ == "torch.fx.graph" and torch.nn is flambeau.nn
    assert len(torch.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU())).graph.nodes) == 4
    assert type(torch.jit.script(nn.Linear(2, 2))(torch.ones(1, 2))) is torch.Tensor
    assert len(torch.utils.data.graph.traverse_dps(torch.utils.data.datapipes.iter.IterableWrapper([1]))) == 1
assert type(linear).__module__ == "flambeau.nn.modules.linear" and flambeau.relu.__module__ == "flambeau"
assert any("flambeau" in str(a) for _, a, _ in pickletools.genops(pickle.dumps(linear)))
"""


def test_pickles_name_what_pytorch_has():
    """What a program that knows only PyTorch pickles opens where PyTorch itself is."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", _PICKLES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
