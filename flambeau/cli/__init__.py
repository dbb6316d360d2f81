"""The command line: ``flambeau demo``, ``flambeau env``, ``flambeau run script.py``, ``flambeau runtime``."""

from __future__ import annotations

import os
import sys

_USAGE = """usage: {prog} COMMAND ...
       {prog} [--missing-report[=FILE]] SCRIPT [ARGS ...]

commands:
  demo                 train LeNet on handwritten digits and show what it learnt ({prog} demo --help)
  env                  versions, processor and settings, for a bug report
  run SCRIPT [ARGS]    run a program that imports torch on flambeau; also run -m MODULE, run -c CODE
    --missing-report[=FILE]   afterwards list the names of torch that the program asked for in vain
  runtime              flags of the C compiler for programs that run saved models without Python
"""


def main(argv: list[str] | None = None, prog: str = "flambeau") -> int:
    """Run one command; returns the exit status."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        print(_USAGE.format(prog=prog))
        return 0 if args else 2
    if args[0] in ("-V", "--version"):
        import flambeau

        print(f"flambeau {flambeau.__version__}")
        return 0
    command, rest = args[0], args[1:]
    if command == "demo":
        from .demo import main as demo

        return demo(rest, prog=f"{prog} demo")
    if command == "env":
        from .env import report

        print(report())
        return 0
    if command == "runtime":
        from .runtime import flags

        print(flags())
        return 0
    if command == "run":
        return _run(rest, f"{prog} run")
    if command.startswith("-") or os.path.exists(command) or command.endswith(".py"):
        return _run(args, prog)
    print(f"{prog}: no command or file is called {command!r}\n\n{_USAGE.format(prog=prog)}", file=sys.stderr)
    return 2


def _run(args: list[str], prog: str) -> int:
    from flambeau.compat import run

    report: str | None = None
    while args and args[0].startswith("--missing-report"):
        report = args.pop(0).partition("=")[2]
    if not args:
        print(
            f"usage: {prog} [--missing-report[=FILE]] SCRIPT | -m MODULE | -c CODE [ARGS ...]",
            file=sys.stderr,
        )
        return 2
    if args[0] in ("-m", "-c") and len(args) < 2:
        print(f"{prog}: {args[0]} needs an argument", file=sys.stderr)
        return 2
    try:
        if args[0] == "-m":
            run.run_module(args[1], args[2:])
        elif args[0] == "-c":
            run.run_code(args[1], args[2:])
        elif not os.path.exists(args[0]):
            print(f"{prog}: can't open file {args[0]!r}: No such file or directory", file=sys.stderr)
            return 2
        else:
            run.run_script(args[0], args[1:])
    finally:
        if report:
            with open(report, "w") as file:
                run.write_report(file)
        elif report is not None:
            sys.stdout.flush()
            run.write_report(sys.stderr)
    return 0
