"""``python -m flambeau script.py args...`` runs a program that imports torch; also the commands demo, env and
run.
"""

import sys

from flambeau.cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m flambeau"))
