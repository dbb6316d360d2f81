"""Networks that say what happens in a film."""

# ruff: noqa: F403
from .resnet import *
