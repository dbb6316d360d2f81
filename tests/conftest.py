"""Settings shared by all tests."""

import os

from hypothesis import settings

# Programs that tests start import the package under test, not a source tree that happens to be the current
# folder.
os.environ["PYTHONSAFEPATH"] = "1"

# A loaded machine is no failure; in CI the same examples are tried every time, so that a run can be repeated.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
