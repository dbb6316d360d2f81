"""Networks that find objects: boxes, classes and scores; some give masks or keypoints as well."""

# ruff: noqa: F403
from .faster_rcnn import *
from .fcos import *
from .keypoint_rcnn import *
from .mask_rcnn import *
from .retinanet import *
from .ssd import *
from .ssdlite import *
