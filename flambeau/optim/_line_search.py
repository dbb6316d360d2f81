"""Line search under the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def strong_wolfe(
    evaluate: Callable[[Any], tuple[float, Any]],
    t: Any,
    direction: Any,
    loss: float,
    grad: Any,
    slope: Any,
    tolerance_change: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    max_evaluations: int = 25,
) -> tuple[float, Any, Any, int]:
    """Find a step length of sufficient decrease and small slope (Nocedal and Wright, algorithms 3.5 and 3.6).

    Parameters
    ----------
    evaluate : callable
        Loss and flat gradient after a step of a given length.
    t : float or Tensor
        First length to try.
    loss, grad, slope
        Values at length zero.

    Returns
    -------
    loss, grad, length, evaluations
    """
    longest = direction.abs().max()
    loss0, slope0 = loss, slope

    def too_high(value: float, length: Any) -> bool:
        return value > loss0 + c1 * length * slope0

    # Each point is (length, loss, gradient, slope). First step on until a minimum lies between two points.
    last = (0, loss, grad, slope)
    value, gradient = evaluate(t)
    evaluations, rounds = 1, 0
    point = (t, value, gradient, gradient.dot(direction))
    found = False
    while rounds < max_evaluations:
        if too_high(point[1], point[0]) or (rounds > 1 and point[1] >= last[1]):
            bracket = [last, point]
            break
        if abs(point[3]) <= -c2 * slope0:
            bracket, found = [point], True
            break
        if point[3] >= 0:
            bracket = [last, point]
            break
        least, most = point[0] + 0.01 * (point[0] - last[0]), point[0] * 10
        t = cubic_minimum(last, point, (least, most))
        last = point
        value, gradient = evaluate(t)
        evaluations += 1
        rounds += 1
        point = (t, value, gradient, gradient.dot(direction))
    else:
        bracket = [(0, loss, grad, slope), point]

    # Then narrow the bracket; ``low`` is its point of lower loss.
    low, high = 0, len(bracket) - 1
    if not found and bracket[0][1] > bracket[1][1]:
        low, high = 1, 0
    stalled = False
    while not found and rounds < max_evaluations:
        ends = (bracket[0][0], bracket[1][0])
        shortest, furthest = min(ends), max(ends)
        width = furthest - shortest
        if width * longest < tolerance_change:
            break
        t = cubic_minimum(bracket[0], bracket[1])
        # A minimum too near an end makes little progress: once it may, then it is moved inside.
        margin = 0.1 * width
        if min(furthest - t, t - shortest) < margin:
            if stalled or t >= furthest or t <= shortest:
                t = furthest - margin if abs(t - furthest) < abs(t - shortest) else shortest + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        value, gradient = evaluate(t)
        evaluations += 1
        rounds += 1
        point = (t, value, gradient, gradient.dot(direction))
        if too_high(value, t) or value >= bracket[low][1]:
            bracket[high] = point
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(point[3]) <= -c2 * slope0:
                found = True
            elif point[3] * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = point
    length, loss, grad, _ = bracket[low]
    return loss, grad, length, evaluations


def cubic_minimum(a: tuple, b: tuple, bounds: tuple[Any, Any] | None = None) -> Any:
    """Return the minimum, inside ``bounds``, of the cubic through two points with their slopes."""
    least, most = bounds if bounds is not None else (min(a[0], b[0]), max(a[0], b[0]))
    if a[0] > b[0]:
        a, b = b, a
    (x1, f1, _, g1), (x2, f2, _, g2) = a, b
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if not square >= 0:
        return (least + most) / 2.0
    d2 = square**0.5
    return min(max(x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2)), least), most)
