import pytest

import flambeau as fb
from flambeau.cli import main
from flambeau.cli.env import facts


def test_usage(capsys):
    assert main(["--help"]) == 0 and "demo" in capsys.readouterr().out
    assert main([]) == 2
    assert main(["nonsense"]) == 2 and "no command or file is called 'nonsense'" in capsys.readouterr().err
    assert main(["--version"]) == 0 and capsys.readouterr().out.strip() == f"flambeau {fb.__version__}"


def test_env(capsys):
    assert main(["env"]) == 0
    out = capsys.readouterr().out
    assert "processor" in out and fb.__version__ in out
    assert int(facts()["threads"]) == fb.get_num_threads()


@pytest.mark.parametrize("args", [["run"], ["run", "-m"], ["run", "no-such-file.py"]])
def test_run_needs_something_to_run(args, capsys):
    assert main(args) == 2 and capsys.readouterr().err
