"""Print the prefix under which the oneDNN wheels put `include/dnnl.h` and `lib/libdnnl.so.3`."""

import importlib.metadata
import pathlib
import sys


def prefix() -> pathlib.Path:
    """Folder that holds `include/` and `lib/` of oneDNN.

    Raises
    ------
    SystemExit
        With the pip command that helps, when a wheel is missing.
    """
    try:
        dist = importlib.metadata.distribution("onednn-devel-cpu-gomp")
        header = next(f for f in dist.files or [] if f.name == "dnnl.h" and f.parent.name == "include")
    except (importlib.metadata.PackageNotFoundError, StopIteration):
        raise SystemExit(
            "oneDNN is missing: pip install onednn-cpu-gomp==2023.2.0 onednn-devel-cpu-gomp==2023.2.0"
        ) from None
    found = pathlib.Path(header.locate()).resolve().parent.parent
    if not (found / "lib" / "libdnnl.so.3").exists():
        raise SystemExit(f"no lib/libdnnl.so.3 under {found}: pip install onednn-cpu-gomp==2023.2.0")
    return found


if __name__ == "__main__":
    sys.stdout.write(str(prefix()))
