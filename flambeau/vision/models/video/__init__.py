"""Networks that say what happens in a film."""

# ruff: noqa: F403
from .mvit import *
from .resnet import *
from .s3d import *
from .swin_transformer import *
