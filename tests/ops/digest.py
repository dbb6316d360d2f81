"""Few numbers that stand for a result and its gradients, so that golden values stay short."""

import math

import flambeau as fb


def wave(*shape: int, step: float = 0.7, dtype=None, grad: bool = True):
    """A tensor of cosines: no two neighbours alike, nothing random."""
    count = math.prod(shape)
    t = fb.cos(fb.arange(count, dtype=fb.float64) * step).reshape(shape).to(dtype or fb.float64)
    return t.requires_grad_() if grad else t


def weighted(t) -> float:
    """Sum of the elements, each with a weight of its own."""
    t = t.detach().to(fb.float64)
    return float((t * wave(*t.shape, step=0.3, grad=False)).sum())


def digest(function, *inputs) -> list:
    """Shape and weighted sum of each result, then of each gradient, then of each second-order gradient."""
    results = function(*inputs)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    numbers = [list(results[0].shape), *(weighted(r) for r in results)]
    graph = [r for r in results if r.requires_grad]
    if not graph:
        return numbers
    leaves = [t for t in inputs if t.requires_grad]
    seeds = [wave(*r.shape, step=0.5, dtype=r.dtype) for r in graph]
    first = fb.autograd.grad(graph, leaves, seeds, create_graph=True)
    numbers += [weighted(g) for g in first]
    # the fused gradient kernels run without create_graph
    again = function(*inputs)
    again = [r for r in (again if isinstance(again, (tuple, list)) else [again]) if r.requires_grad]
    for fused, g in zip(fb.autograd.grad(again, leaves, seeds), first):
        scale = 1 + float(g.detach().abs().max())
        assert float((fused.detach() - g.detach()).abs().max()) <= 1e-8 * scale
    square = sum((g * g).sum() for g in first)
    second = fb.autograd.grad(square, leaves + seeds, allow_unused=True)
    numbers += [0.0 if g is None else weighted(g) for g in second]
    return numbers


def same_digest(found: list, golden: list) -> None:
    """Assert that two digests agree to single-precision accuracy of their golden values."""
    assert found[0] == golden[0]
    assert len(found) == len(golden), f"{found} is not {golden}"
    for a, b in zip(found[1:], golden[1:]):
        assert abs(a - b) <= 1e-6 * (1 + abs(b)), f"{found} is not {golden}"
