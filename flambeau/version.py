"""The version: that of the PyTorch API which is implemented, and of flambeau itself."""

__version__ = "2.13.0+flambeau"
api_version = "2.13.0"
debug = False
cuda = None
hip = None
rocm = None
xpu = None
git_version = "Unknown"
