"""Writers that are killed, or whose disk fails, at each of their steps in turn."""

from __future__ import annotations

import json
import subprocess
import sys

_SCRIPT = """
import errno, json, os, signal, sys

folder, before, write, look = sys.argv[1:]
names = {"folder": folder}
exec(before, names)
found = []
for how in ("kill", "fail"):
    at, code = 0, 0
    while code != 3:
        child = os.fork()
        if not child:
            done = 0

            def watched(function):
                def call(*args, **kwargs):
                    global done
                    done += 1
                    if done - 1 == at and how == "kill":
                        os.kill(os.getpid(), signal.SIGKILL)
                    if done - 1 == at:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    return function(*args, **kwargs)

                return call

            for name in ("open", "fsync", "replace", "unlink", "link", "chmod"):
                setattr(os, name, watched(getattr(os, name)))
            try:
                exec(write, names)
            except Exception:
                os._exit(1)
            os._exit(0 if done > at else 3)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seen = {**names}
        exec(look, seen)
        found.append((how, at, code, seen["seen"], sorted(os.listdir(folder))))
        at += 1
    exec(before, names)
print(json.dumps(found))
"""


def at_every_step(folder: object, before: str, write: str, look: str) -> list[list]:
    """Run `before`, then `write` in processes of which each ends one step later, and `look` after each.

    A step is a call that changes files: the process is killed there, or gets the error of a full disk.
    `before` runs again between the two kinds.

    Returns
    -------
    Of each try: "kill" or "fail", the step, the exit code (3: it came through), what `look` gave the name
    `seen`, and the files of the folder.
    """
    command = [sys.executable, "-W", "error", "-c", _SCRIPT, folder, before, write, look]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
