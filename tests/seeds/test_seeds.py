"""The programs of the first documents: unchanged, on flambeau, they print what PyTorch prints."""

import difflib
import pathlib
import subprocess
import sys

import pytest

PROGRAMS = sorted((pathlib.Path(__file__).parent / "programs").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_prints_what_pytorch_prints(program, tmp_path):
    if program.stem == "vision_loaders":
        pytest.importorskip("PIL")
    result = subprocess.run(
        [sys.executable, "-m", "flambeau", str(program)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    expected = program.with_suffix(".out").read_text()
    lines = expected.splitlines(), result.stdout.splitlines()
    different = "\n".join(difflib.unified_diff(*lines, "PyTorch", "flambeau"))
    assert not different, different
