"""The hub, with a server on this machine in the place of GitHub."""

import contextlib
import hashlib
import http.server
import io
import os
import threading
import zipfile

import pytest

import flambeau as fb
from flambeau import hub

CONF = """
dependencies = ["json"]
from neighbour import twice

def thing(n=1):
    "makes a thing"
    return [twice(n)]

def _hidden():
    return None
"""


def repository(conf=CONF):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("someone-models-abc123/", "")
        archive.writestr("someone-models-abc123/hubconf.py", conf)
        archive.writestr("someone-models-abc123/neighbour.py", "def twice(n):\n    return 2 * n\n")
    return out.getvalue()


@contextlib.contextmanager
def server(files):
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            if self.path not in files:
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(files[self.path])))
            self.end_headers()
            self.wfile.write(files[self.path])

        def log_message(self, *_):
            return None

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}", requests
    finally:
        running.shutdown()
        running.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub"


@contextlib.contextmanager
def github(monkeypatch, ref="main", conf=CONF):
    files = {
        f"/someone/models/tree/{ref}/": b"x",
        f"/someone/models/zipball/{ref}": repository(conf),
        f"/repos/someone/models/branches/{ref}": b"{}",
    }
    with server(files) as (url, requests):
        monkeypatch.setattr(hub, "_GITHUB", url)
        monkeypatch.setattr(hub, "_GITHUB_API", url)
        yield requests


def test_folders(cache, tmp_path, monkeypatch):
    assert hub.get_dir() == str(cache)
    hub.set_dir(tmp_path / "other")
    assert hub.get_dir() == str(tmp_path / "other")
    monkeypatch.setattr(hub, "_hub_dir", None)
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hub.get_dir() == os.path.join(tmp_path, "torch", "hub")
    assert hub._get_torch_home() == os.path.join(tmp_path, "torch")


def test_local(tmp_path):
    (tmp_path / "hubconf.py").write_text(CONF)
    (tmp_path / "neighbour.py").write_text("def twice(n):\n    return 2 * n\n")
    assert hub.load(str(tmp_path), "thing", source="local", n=4) == [8]
    with pytest.raises(RuntimeError, match=r"Cannot find callable nothing in hubconf"):
        hub.load(str(tmp_path), "nothing", source="local")
    with pytest.raises(ValueError, match=r'Unknown source: "bad". Allowed values: "github" \| "local".'):
        hub.load(str(tmp_path), "thing", source="bad")
    (tmp_path / "hubconf.py").write_text("dependencies = ['no_such_package']\n")
    with pytest.raises(RuntimeError, match=r"Missing dependencies: no_such_package"):
        hub.load(str(tmp_path), "thing", source="local")


def test_a_repository_is_fetched_once_and_then_works_offline(cache, monkeypatch):
    with github(monkeypatch) as requests:
        assert hub.load("someone/models", "thing", 3, trust_repo=True) == [6]
        assert [path for path in requests if "zipball" in path] == ["/someone/models/zipball/main"]
        assert hub.list("someone/models") == ["thing", "twice"]
        assert hub.help("someone/models", "thing") == "makes a thing"
        assert len([path for path in requests if "zipball" in path]) == 1
    assert (cache / "trusted_list").read_text() == "someone_models\n"
    assert hub.load("someone/models", "thing") == [2]  # the server is gone
    with pytest.raises(
        RuntimeError, match=r"no internet connection and the repo could not be found in the cache"
    ):
        hub.load("someone/else", "thing", trust_repo=True)


def test_trust(cache, monkeypatch):
    with github(monkeypatch):
        monkeypatch.setattr("builtins.input", lambda text: "")
        with pytest.raises(Exception, match=r"Untrusted repository."):
            hub.load("someone/models", "thing")
        monkeypatch.setattr("builtins.input", lambda text: "y")
        assert hub.load("someone/models", "thing") == [2]
        monkeypatch.setattr("builtins.input", lambda text: pytest.fail("asked again"))
        assert hub.load("someone/models", "thing", trust_repo=False) == [2]


def test_references_must_belong_to_the_repository(cache, monkeypatch):
    with github(monkeypatch, ref="v1"):
        assert hub.load("someone/models:v1", "thing", trust_repo=True) == [2]
        with pytest.raises(ValueError, match=r"Cannot find 0badc0de in "):
            hub.load("someone/models:0badc0de", "thing", trust_repo=True)


def test_weights(cache, capsys):
    buffer = io.BytesIO()
    fb.save({"w": fb.ones(2)}, buffer)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()[:8]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        legacy = io.BytesIO()
        fb.save({"w": fb.zeros(1)}, legacy, _use_new_zipfile_serialization=False)
        archive.writestr("inner.pth", legacy.getvalue())
    files = {f"/net-{digest}.pth": content, "/net-00000000.pth": content, "/old.zip": packed.getvalue()}
    with server(files) as (url, requests):
        for _ in range(2):
            got = hub.load_state_dict_from_url(f"{url}/net-{digest}.pth", check_hash=True, weights_only=True)
            assert got["w"].tolist() == [1.0, 1.0]
        assert len(requests) == 1 and "Downloading: " in capsys.readouterr().err
        with pytest.raises(RuntimeError, match=r'invalid hash value \(expected "00000000", got "'):
            hub.load_state_dict_from_url(f"{url}/net-00000000.pth", check_hash=True)
        assert hub.load_state_dict_from_url(f"{url}/old.zip", file_name="old.zip")["w"].tolist() == [0.0]
    assert sorted(path.name for path in (cache / "checkpoints").iterdir()) == [
        "inner.pth",
        f"net-{digest}.pth",
        "old.zip",
    ]
