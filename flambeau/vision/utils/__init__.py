"""Pictures to look at: grids of pictures, boxes, masks and points drawn on them, flow as colours."""

from ._draw import draw_bounding_boxes, draw_keypoints, draw_segmentation_masks
from ._flow import flow_to_image
from ._grid import make_grid, save_image

__all__ = [
    "draw_bounding_boxes",
    "draw_keypoints",
    "draw_segmentation_masks",
    "flow_to_image",
    "make_grid",
    "save_image",
]
