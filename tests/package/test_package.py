"""Packages: what goes into them, what comes out, and what is refused."""

from __future__ import annotations

import io
import linecache
import pickle
import sys
import types
import zipfile
from pathlib import Path

import pytest
from numpy.linalg import _umath_linalg

import flambeau as fb
from flambeau.package import (
    EmptyMatchError,
    ObjMismatchError,
    ObjNotFoundError,
    OrderedImporter,
    PackageExporter,
    PackageImporter,
    PackagingError,
    is_from_package,
    sys_importer,
)

GOLDEN = Path(__file__).parent.parent / "golden" / "package"

NET = """import math
import flambeau
from flambeau import nn
from .sub import util


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 2)

    def forward(self, x):
        return util.twice(self.l(x))
"""
HINT = (
    "\nSet debug=True when invoking PackageExporter for a visualization of where broken modules are coming "
    "from!\n"
)


@pytest.fixture
def net(tmp_path, monkeypatch):
    """The class of a package that lies on the path."""
    (tmp_path / "packed" / "sub").mkdir(parents=True)
    (tmp_path / "packed" / "__init__.py").write_text("from . import net\n")
    (tmp_path / "packed" / "net.py").write_text(NET)
    (tmp_path / "packed" / "sub" / "__init__.py").write_text("")
    (tmp_path / "packed" / "sub" / "util.py").write_text("def twice(x):\n    return x * 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    linecache.clearcache()
    import packed.net

    yield packed.net.Net
    for name in [n for n in sys.modules if n.partition(".")[0] == "packed"]:
        del sys.modules[name]


def opened(buffer: io.BytesIO) -> PackageImporter:
    buffer.seek(0)
    return PackageImporter(buffer)


def test_model_with_its_code(net, tmp_path):
    fb.manual_seed(0)
    model, x = net(), fb.ones(1, 3)
    path = tmp_path / "model.pt"
    with PackageExporter(path) as exporter:
        exporter.intern("packed.**")
        exporter.save_pickle("model", "model.pkl", model)
        exporter.save_text("notes", "n.txt", "höre")
        exporter.save_binary("notes.more", "b.bin", b"\0\1")
        assert not path.exists()
    assert exporter.interned_modules() == ["packed.net", "packed.sub.util"]
    assert exporter.externed_modules() == [
        *("builtins", "collections", "flambeau", "flambeau.nn", "math", "torch", "torch._utils"),
        "torch.nn.modules.linear",
    ]
    package = PackageImporter(path)
    loaded = package.load_pickle("model", "model.pkl")
    assert type(loaded) is not net and type(loaded).__module__ == f"{package.id()}.packed.net"
    assert type(loaded.l) is fb.nn.Linear
    assert fb.equal(loaded(x), model(x))
    assert is_from_package(loaded) and not is_from_package(model)
    assert is_from_package(package.import_module("packed.net")) and not is_from_package(fb)
    assert package.load_text("notes", "n.txt") == "höre"
    assert package.load_binary("notes.more", "b.bin") == b"\0\1"
    assert package.python_version() == sys.version.split()[0]
    assert type(loaded).__module__ not in sys.modules


def test_names_of_records():
    buffer = io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.save_pickle("a", "a.pkl", fb.arange(6.0))
        exporter.save_source_string("m", "x = 3\n")
    archive = zipfile.ZipFile(buffer)
    assert archive.namelist() == [
        "archive/" + name
        for name in (
            *(".data/0.storage", "a/a.pkl", "m.py", ".data/extern_modules", ".data/python_version"),
            *(".data/version", "byteorder", ".data/serialization_id"),
        )
    ]
    assert archive.read("archive/.data/version") == b"6\n"
    assert archive.read("archive/.data/extern_modules") == b"torch._utils\ntorch\ncollections\n"


def test_tensors_share_within_a_package_and_not_between_loads():
    x, buffer = fb.arange(6.0), io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.save_pickle("a", "a.pkl", x)
        exporter.save_pickle("a", "b.pkl", [x[2:], x.view(2, 3), fb.zeros(2)], pickle_protocol=4)
    storages = [n for n in zipfile.ZipFile(buffer).namelist() if n.endswith(".storage")]
    assert storages == ["archive/.data/0.storage", "archive/.data/1.storage"]
    package = opened(buffer)
    tail, table, _ = package.load_pickle("a", "b.pkl")
    assert tail.tolist() == [2, 3, 4, 5] and tail.data_ptr() - table.data_ptr() == 8
    assert package.load_pickle("a", "a.pkl").data_ptr() != table.data_ptr()
    assert package.load_pickle("a", "b.pkl", map_location="meta")[0].device.type == "meta"


def test_pytorchs_package():
    package = PackageImporter(GOLDEN / "model.pt")
    model = package.load_pickle("model", "model.pkl")
    assert type(model.l) is fb.nn.Linear
    fb.testing.assert_close(model(fb.ones(1, 3)), fb.tensor([[-0.3625, -0.0693]]), atol=1e-4, rtol=0)
    module = package.import_module("mypkg.net")
    assert module.torch is fb and module.nn is fb.nn
    assert package.load_text("notes", "n.txt") == "hello"
    assert package.python_version() == "3.11.7"
    assert package.import_module("strmod").x == 3


def test_pytorchs_traced_graph():
    package = PackageImporter(GOLDEN / "graph.pt")
    graph = package.load_pickle("z", "z.pkl")
    assert isinstance(graph, fb.fx.GraphModule) and "l * 2" in graph.code
    fb.testing.assert_close(graph(fb.ones(1, 3)), fb.tensor([[-0.3625, -0.0693]]), atol=1e-4, rtol=0)
    values = package.load_pickle("z", "t.pkl")
    assert values["a"].tolist() == [0, 1, 2] and values["d"] is fb.float16
    assert values["b"][1].dtype is fb.bfloat16 and isinstance(values["p"], fb.nn.Parameter)


def test_traced_graph_goes_with_its_code(net):
    graph, buffer = fb.fx.symbolic_trace(net()), io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.save_pickle("z", "z.pkl", graph)
    text = zipfile.ZipFile(buffer).read("archive/fx-generated/_0.py").decode()
    assert "import torch\n" in text and "flambeau" not in text
    loaded = opened(buffer).load_pickle("z", "z.pkl")
    assert loaded.code == graph.code and fb.equal(loaded(fb.ones(1, 3)), graph(fb.ones(1, 3)))


def test_script_modules_are_refused():
    with pytest.raises(NotImplementedError, match="script"):
        PackageExporter(io.BytesIO()).save_pickle("z", "z.pkl", fb.jit.script(fb.nn.Linear(1, 1)))


def test_file_structure(net):
    package = PackageImporter(GOLDEN / "model.pt")
    tree = package.file_structure(include=["**/*.py", "notes/**"], exclude="**/b.bin")
    assert str(tree) == (
        f"─── {GOLDEN / 'model.pt'}\n    ├── mypkg\n    │   ├── sub\n    │   │   └── util.py\n"
        "    │   └── net.py\n"
        "    ├── notes\n    │   └── n.txt\n    └── strmod.py\n"
    )
    whole = package.file_structure()
    assert whole.has_file("mypkg/net.py") and whole.has_file("mypkg") and not whole.has_file("mypkg/none.py")
    assert list(whole.children) == [".data", "model", "notes", "mypkg", "strmod.py", "byteorder"]


def test_opening_runs_nothing():
    buffer = io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.save_source_string("loud", "raise SystemExit('was run')\n")
        exporter.save_text("loud", "t.txt", "t")
    package = opened(buffer)
    assert package.load_text("loud", "t.txt") == "t" and package.get_source("loud").startswith("raise")
    with pytest.raises(SystemExit, match="was run"):
        package.import_module("loud")
    with pytest.raises(SystemExit, match="was run"):  # a failed import leaves no half of a module
        package.import_module("loud")


def test_dependencies_of_source():
    exporter = PackageExporter(io.BytesIO())
    exporter.extern("numpy.**")
    exporter.save_source_string(
        "x", "import numpy.random as r\nfrom numpy.linalg import norm\nfrom os import path\n"
        "import no_such_thing\n"
        '__import__("json")\n'
    )  # fmt: skip
    assert exporter.dependency_graph_string() == (
        'digraph G {\nrankdir = LR;\nnode [shape=box];\n"x" -> "numpy.random";\n"x" -> "numpy.linalg";\n'
        '"x" -> "os.path";\n"x" -> "json";\n}\n'
    )
    assert exporter.get_rdeps("json") == ["x"] and exporter.get_rdeps("none") == []
    assert '"x" -> "json"' in exporter.all_paths("x", "json") and "numpy" not in exporter.all_paths(
        "x", "json"
    )
    with pytest.raises(ValueError, match="The node none is not in the digraph"):
        exporter.all_paths("none", "x")
    exporter.close()


def failing(prepare, **options) -> str:
    exporter = PackageExporter(io.BytesIO(), **options)
    prepare(exporter)
    with pytest.raises(PackagingError) as caught:
        exporter.close()
    return str(caught.value)


def test_what_cannot_be_packaged(net):
    def denied(exporter):
        exporter.deny("packed.sub.*")
        exporter.intern("packed.**")
        exporter.save_pickle("m", "m.pkl", net())

    assert failing(lambda e: e.save_pickle("m", "m.pkl", net())) == (
        "\n* Module did not match against any action pattern. Extern, mock, or intern it.\n    packed.net\n"
        + HINT
    )
    assert failing(denied) == f"\n* Module was denied by a pattern.\n    packed.sub.util\n{HINT}"
    assert failing(denied, debug=True) == (
        "\n* Module was denied by a pattern.\n    packed.sub.util\n"
        "      A path to packed.sub.util: <m.m.pkl> -> packed.net -> packed.sub.util\n"
    )

    def mocked(exporter):
        exporter.mock("packed.**")
        exporter.save_pickle("m", "m.pkl", net())

    assert (
        "Context: Object(s) '['Net']' from module `packed.net` was mocked out during packaging but is being "
        "used in resource - `m.pkl` in package `m`. \n"
    ) in failing(mocked)

    extension = _umath_linalg.__name__  # those of Python may be built into it
    bare = types.ModuleType("bare")
    sys.modules["bare"] = bare
    try:
        text = failing(lambda e: (e.save_module(extension), e.save_module("bare")))
    finally:
        del sys.modules["bare"]
    assert text.startswith(
        "\n* Module is a C extension module. torch.package supports Python modules only.\n"
        f"    {extension}\n* Module had no __file__ defined.\n    bare\n"
    )
    text = failing(lambda e: e.save_source_string("x", "import sys, (\n"))
    assert text.startswith("\n* Dependency resolution failed.\n    x\n      Context: invalid syntax")
    text = failing(lambda e: e.save_source_string("x", "import sys, io, os\n"))
    assert "`sys` has a lot of system level access" in text and "`os`" not in text


def test_find_first_use_of_broken_modules(net):
    from flambeau.package.analyze import find_first_use_of_broken_modules

    exporter = PackageExporter(io.BytesIO())
    exporter.deny("packed.sub.*")
    exporter.intern("packed.**")
    exporter.save_pickle("m", "m.pkl", net())
    with pytest.raises(PackagingError) as caught:
        exporter.close()
    assert find_first_use_of_broken_modules(caught.value) == {
        "packed.sub.util": ["<m.m.pkl>", "packed.net", "packed.sub.util"]
    }


def test_trace_dependencies(net):
    from flambeau.package.analyze import trace_dependencies

    found = trace_dependencies(net(), [(fb.ones(1, 3),)])
    assert {"packed.net", "packed.sub.util", "torch.nn.modules.linear"} <= set(found)
    assert trace_dependencies(net(), []) == []


def test_patterns_that_must_match():
    exporter = PackageExporter(io.BytesIO())
    exporter.extern("none.*", exclude=["a", "b.*"], allow_empty=False)
    with pytest.raises(
        EmptyMatchError, match=r"GlobGroup\(include=none.\*, exclude=\['a', 'b.\*'\]\), which was"
    ):
        exporter.close()


def test_mocked_modules(net):
    buffer = io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.mock("packed.**")
        exporter.save_source_string("q", "import packed.net\nfrom packed.sub.util import twice\n")
    q = opened(buffer).import_module("q")
    assert repr(q.twice).endswith(".packed.sub.util.twice)")
    for use, method in (
        (lambda: q.twice(3), "__call__"),
        (lambda: q.twice.more, "__getattr__"),
        (lambda: q.twice + 1, "__add__"),
        (lambda: bool(q.packed.net.Net), "__bool__"),
    ):
        with pytest.raises(NotImplementedError, match=f"was mocked out .* being used in {method}"):
            use()
    with pytest.raises(NotImplementedError, match=r"Net' was mocked out during packaging"):
        type("Derived", (q.packed.net.Net,), {})


def test_hooks(net):
    called = []
    exporter = PackageExporter(io.BytesIO())
    exporter.register_extern_hook(lambda e, name: called.append(("extern", name)))
    exporter.register_intern_hook(lambda e, name: called.append(("intern", name)))
    exporter.register_mock_hook(lambda e, name: called.append(("mock", name)))
    exporter.register_mock_hook(lambda e, name: called.append("removed")).remove()
    exporter.intern("packed.net")
    exporter.mock("packed.sub.**")
    exporter.save_module("packed.net")
    exporter.close()
    assert called == [
        ("intern", "packed.net"),
        *(("extern", name) for name in ("math", "flambeau", "flambeau.nn")),
        ("mock", "packed.sub.util"),
    ]


def test_source_files_and_folders(net, tmp_path):
    buffer = io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.save_source_file("foo", str(tmp_path / "packed"))
        exporter.save_source_string("pk", "y = 1\n", is_package=True)
    names = [n for n in zipfile.ZipFile(buffer).namelist() if n.endswith(".py")]
    wanted = ("foo/__init__", "foo/net", "foo/sub/__init__", "foo/sub/util", "pk/__init__")
    assert names == [f"archive/{n}.py" for n in wanted]
    package = opened(buffer)
    assert package.import_module("foo").net is package.import_module(".net", "foo")
    assert package.import_module("pk").y == 1
    with pytest.raises(FileNotFoundError):
        exporter.save_source_file("x", str(tmp_path / "none.py"))
    with pytest.raises(TypeError, match="did you perhaps mean to pass `__name__`"):
        exporter.save_module(types)


def test_modules_of_a_package():
    package = PackageImporter(GOLDEN / "model.pt")
    module = package.import_module("mypkg.net")
    assert module.__file__ == f"{package.id()}.mypkg/net.py" and module.__package__ == "mypkg"
    assert module.__loader__ is package and module.__torch_package__
    import inspect

    assert inspect.getsource(module.Net.forward).startswith("    def forward(self, x):")
    folder = package.import_module("mypkg")
    assert folder.__file__ is None and folder.__path__ == []
    import importlib.resources as resources

    assert sorted(resources.contents(folder)) == ["net.py", "sub"]
    assert resources.read_text(folder, "net.py").startswith("import math")
    net = resources.files(folder) / "net.py"
    assert net.is_file() and not net.is_dir() and (resources.files(folder) / "sub").is_dir()
    assert net.read_bytes().startswith(b"import math") and not resources.is_resource(folder, "sub")
    with pytest.raises(FileNotFoundError):
        (resources.files(folder) / "none").read_text()


def test_what_an_importer_refuses():
    package = PackageImporter(GOLDEN / "model.pt")
    allowed = (
        "['math', 'torch', 'torch.nn', 'builtins', 'collections', 'torch.nn.modules.linear', 'torch._utils']"
    )
    for name in ("os", "mypkg.none", "none"):
        with pytest.raises(ModuleNotFoundError) as caught:
            package.import_module(name)
        assert str(caught.value) == (
            f'No module named "{name}" in self-contained archive "{GOLDEN / "model.pt"}" and the module is '
            f"also not in the list of allowed external modules: {allowed}"
        )
    with pytest.raises(TypeError, match=r"'mypkg.net' is not a package"):
        package.load_binary("mypkg.net", "x")
    with pytest.raises(
        RuntimeError, match="PytorchStreamReader failed locating file notes/x: file not found"
    ):
        package.load_binary("notes", "x")
    with pytest.raises(
        ImportError, match="needs the external module 'math' but that module has been disallowed"
    ):
        PackageImporter(GOLDEN / "model.pt", lambda name: name != "math")
    with pytest.raises(RuntimeError, match="open file failed because of errno 2 on fopen"):
        PackageImporter("no such file.pt")


def test_a_package_sees_only_what_it_was_given():
    buffer = io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.save_source_string("a", "def get():\n    import os.path\n    return os\n")
        exporter.save_source_string("b", "def get():\n    import json\n    return json\n", dependencies=False)
    package = opened(buffer)
    seen = package.import_module("a").get()
    import os

    assert seen is not os and seen.path is os.path and not hasattr(seen, "system")
    with pytest.raises(ModuleNotFoundError, match='No module named "json"'):
        package.import_module("b").get()


def test_packaging_again(net, caplog):
    first, second = io.BytesIO(), io.BytesIO()
    with PackageExporter(first) as exporter:
        exporter.intern("packed.**")
        exporter.save_pickle("m", "m.pkl", net())
    package = opened(first)
    model = package.load_pickle("m", "m.pkl")
    with pytest.raises(pickle.PicklingError, match=r"it's not found as <torch_package_.*packed.net.Net"):
        PackageExporter(io.BytesIO()).save_pickle("m", "m.pkl", model)
    with PackageExporter(second, importer=(package, sys_importer)) as exporter:
        exporter.intern("packed.**")
        exporter.save_pickle("m", "m.pkl", model)
    assert not caplog.records
    again = opened(second).load_pickle("m", "m.pkl")
    assert fb.equal(again(fb.ones(1, 3)), model(fb.ones(1, 3))) and type(again) is not type(model)


def test_importers_and_names(net):
    package = PackageImporter(GOLDEN / "model.pt")
    theirs = package.import_module("mypkg.net").Net
    assert sys_importer.get_name(net) == ("packed.net", "Net")
    assert sys_importer.get_name(fb.nn.Linear) == ("torch.nn.modules.linear", "Linear")
    assert package.get_name(theirs) == ("mypkg.net", "Net")
    assert package.get_name(fb.nn.Linear) == ("torch.nn.modules.linear", "Linear")
    assert OrderedImporter(package, sys_importer).import_module("packed.net").Net is net
    with pytest.raises(ObjNotFoundError, match=r"was not found as mypkg.net.Net"):
        sys_importer.get_name(theirs)
    fake = type("Net", (), {"__module__": "packed.net"})
    with pytest.raises(
        ObjMismatchError, match=r"The object provided is from 'packed.net', which is coming from the cur"
    ):
        sys_importer.get_name(fake)
    with pytest.raises(ModuleNotFoundError):
        OrderedImporter(package, sys_importer).import_module("no_such_module")


class Reducing:
    def __init__(self, text):
        self.text = text

    def __reduce_package__(self, exporter):
        name = f"t{exporter.get_unique_id()}"
        exporter.save_text("texts", name, self.text)
        return restored, (name,)


def restored(importer, name):
    return Reducing(importer.load_text("texts", name))


def test_reduce_package():
    obj, buffer = Reducing("long"), io.BytesIO()
    with PackageExporter(buffer) as exporter:
        exporter.extern(__name__)
        exporter.save_pickle("a", "a.pkl", [obj, obj])
        exporter.save_pickle("a", "b.pkl", obj)
    assert [n for n in zipfile.ZipFile(buffer).namelist() if "texts" in n] == ["archive/texts/t0"]
    one, two = opened(buffer).load_pickle("a", "a.pkl")
    assert one is two and one.text == "long"
    assert opened(buffer).load_pickle("a", "b.pkl").text == "long"


def test_unpacked_folder(tmp_path):
    with zipfile.ZipFile(GOLDEN / "model.pt") as archive:
        archive.extractall(tmp_path)
    package = PackageImporter(tmp_path / "a")
    fb.testing.assert_close(
        package.load_pickle("model", "model.pkl")(fb.ones(1, 3)),
        fb.tensor([[-0.3625, -0.0693]]),
        atol=1e-4,
        rtol=0,
    )
    with pytest.raises(ValueError, match="is not inside of"):
        package.zip_reader.get_record("../other")


def test_a_failed_package_leaves_no_file(tmp_path):
    with pytest.raises(KeyError), PackageExporter(tmp_path / "x.pt") as exporter:
        exporter.save_text("a", "b", "c")
        raise KeyError
    with pytest.raises(PackagingError), PackageExporter(tmp_path / "x.pt") as exporter:
        exporter.save_source_string("x", "import sys\n")
    assert list(tmp_path.iterdir()) == []
    exporter = PackageExporter(io.BytesIO())
    exporter.save_text("a", "b", "c")
    with pytest.raises(AssertionError, match="Tried to write file 'a/b', but it already exists"):
        exporter.save_text("a", "b", "d")
    with pytest.raises(AttributeError, match="has no attribute 'write'"):
        PackageExporter(3)
