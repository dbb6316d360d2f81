"""The main module of a process that multiprocessing started afresh from a script run by flambeau.

multiprocessing runs this module under the name ``__mp_main__``; the script then runs in its namespace.
"""

import os

from flambeau.compat import install_as_torch
from flambeau.compat.run import SCRIPT_VARIABLE

if __name__ == "__mp_main__":
    install_as_torch()
    __file__ = os.environ[SCRIPT_VARIABLE].partition(":")[2]
    with open(__file__, "rb") as _file:
        _source = _file.read()
    exec(compile(_source, __file__, "exec"), globals())
