"""Optical flow as colours: the direction is the hue, the length the saturation."""

from __future__ import annotations

import flambeau as fb

# Steps from each colour of the wheel to the next: red, yellow, green, cyan, blue, magenta.
# Baker et al., "A Database and Evaluation Methodology for Optical Flow" (2007)
_STEPS = (15, 6, 4, 11, 13, 6)


def _wheel() -> fb.Tensor:
    """The colours of the wheel, [55, 3], from 0 to 255."""
    corners = [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1)]
    rows = []
    for i, steps in enumerate(_STEPS):
        here, there = corners[i], corners[(i + 1) % 6]
        for k in range(steps):
            up = 255 * k // steps
            rows.append(
                [
                    255 if a and b else up if b else 255 - up if a else 0
                    for a, b in zip(here, there, strict=True)
                ]
            )
    return fb.tensor(rows, dtype=fb.float32)


@fb.no_grad()
def flow_to_image(flow: fb.Tensor) -> fb.Tensor:
    """Flow [2, H, W] or [N, 2, H, W] in pixels, as pictures with three channels of bytes.

    The longest vector of all is fully saturated; where nothing moves it is white.
    """
    if flow.dtype != fb.float:
        raise ValueError(f"Flow should be of dtype torch.float, got {flow.dtype}.")
    shape = flow.shape
    if flow.ndim not in (3, 4) or shape[-3] != 2:
        raise ValueError(f"Input flow should have shape (2, H, W) or (N, 2, H, W), got {shape}.")
    flow = flow.reshape(-1, *shape[-3:])
    longest = (flow**2).sum(dim=1).sqrt().max()
    flow = flow / (longest + fb.finfo(flow.dtype).eps)
    wheel = _wheel().to(flow.device)
    length = (flow**2).sum(dim=1).sqrt()
    place = (fb.atan2(-flow[:, 1], -flow[:, 0]) / fb.pi + 1) / 2 * (len(wheel) - 1)
    low = place.floor().long()
    share = (place - low)[..., None]
    colour = ((1 - share) * wheel[low] + share * wheel[(low + 1) % len(wheel)]) / 255.0
    colour = 1 - length[..., None] * (1 - colour)
    return (255 * colour).floor().to(fb.uint8).permute(0, 3, 1, 2).reshape(*shape[:-3], 3, *shape[-2:])
