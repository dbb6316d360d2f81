"""`einsum`: sums of products of tensors written with index letters.

An equation and the shapes of its operands make a plan, which is cached: operands are contracted two at a
time, each pair by one matrix product of (batch, left, summed) with (batch, summed, right). With three
operands or more, the pair with the smallest result goes first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import flambeau as fb

from .registry import composite, passes

Labels = tuple  # of letters, and of ints below zero for dimensions under the dots, counted from the right


class _Step(NamedTuple):
    """One contraction of operands `i` and `j`; the result is appended to the operands."""

    i: int
    j: int
    sum_i: list[int]
    sum_j: list[int]
    perm_i: list[int] | None  # None: nothing changes
    perm_j: list[int] | None
    shape_i: list[int] | None
    shape_j: list[int] | None
    how: str  # "mm", "bmm" or "mul"
    result: list[int] | None


class _Plan(NamedTuple):
    diagonals: list[list[tuple[int, int]]]
    steps: list[_Step]
    sum_last: list[int]
    order: list[int] | None


def _fail(text: str) -> RuntimeError:
    return RuntimeError(f"einsum(): {text}")


def _letters(text: str, ndim: int, operand: int | None) -> Labels:
    """Labels of one operand (or, with operand None, of the output) from its part of the equation."""
    text = text.replace(" ", "")
    dots = text.find("...")
    plain = text.replace("...", "", 1)
    for c in plain:
        if not (c.isascii() and c.isalpha()):
            if c == ".":
                where = f"operand {operand}" if operand is not None else "the output"
                raise _fail(f"found '.' for {where} that is not part of any ellipsis")
            raise _fail(
                f"invalid subscript given at index {text.index(c)} in the equation string, subscripts must be"
                " in [a-zA-Z]"
            )
    if dots < 0:
        if operand is not None and len(plain) != ndim:
            raise _fail(
                f"the number of subscripts in the equation ({len(plain)}) "
                f"{'does not match' if len(plain) < ndim else 'is more than'} the number of dimensions "
                f"({ndim}) for operand {operand}{' and no ellipsis was given' if len(plain) < ndim else ''}"
            )
        return tuple(plain)
    under = ndim - len(plain)
    if under < 0:
        raise _fail(
            f"the number of subscripts in the equation ({len(plain)}) is more than the number of dimensions"
            f" ({ndim}) for operand {operand}"
        )
    return (*text[:dots], *range(-under, 0), *text[dots + 3 :])


def _parse(equation: str, ndims: Sequence[int]) -> tuple[list[Labels], Labels]:
    left, arrow, right = equation.partition("->")
    parts = left.split(",")
    if len(parts) != len(ndims):
        fewer = len(parts) < len(ndims)
        raise _fail(f"{'more' if fewer else 'fewer'} operands were provided than specified in the equation")
    operands = [_letters(p, n, k) for k, (p, n) in enumerate(zip(parts, ndims))]
    under = max((-min((x for x in ls if isinstance(x, int)), default=0) for ls in operands), default=0)
    if not arrow:
        counts: dict = {}
        for ls in operands:
            for x in ls:
                counts[x] = counts.get(x, 0) + 1
        return operands, (
            *range(-under, 0),
            *sorted(x for x, n in counts.items() if isinstance(x, str) and n == 1),
        )
    plain = right.replace(" ", "").replace("...", "", 1)
    output = _letters(right, len(plain) + under, None)
    known = {x for ls in operands for x in ls}
    for k, x in enumerate(output):
        if x in output[:k]:
            raise _fail(f"output subscript {x} appears more than once in the output")
        if x not in known:
            raise _fail(f"output subscript {x} does not appear in the equation for any input operand")
    return operands, output


def _diagonals(labels: list, shape: list[int], operand: int) -> list[tuple[int, int]]:
    """Pairs of dimensions with the same letter; each is replaced by its diagonal, which comes last."""
    pairs = []
    while True:
        twin = next(
            ((i, j) for i in range(len(labels)) for j in range(i + 1, len(labels)) if labels[i] == labels[j]),
            None,
        )
        if twin is None:
            return pairs
        i, j = twin
        if shape[i] != shape[j]:
            raise _fail(
                f"subscript {labels[i]} is repeated for operand {operand} but the sizes don't match,"
                f" {shape[j]} != {shape[i]}"
            )
        pairs.append(twin)
        letter, size = labels[i], shape[i]
        del labels[j], labels[i], shape[j], shape[i]
        labels.append(letter)
        shape.append(size)


def _pair(i: int, j: int, terms: list, wanted: set) -> tuple[_Step, tuple, list[int]]:
    """The contraction of two terms; `wanted` are the labels that other terms or the output need."""
    (la, sa), (lb, sb) = terms[i], terms[j]
    size_a, size_b = dict(zip(la, sa)), dict(zip(lb, sb))
    # a dimension of size 1 beside a larger one broadcasts: it leaves its term
    gone_a = [
        x
        for x in la
        if (x in size_b and size_a[x] == 1 != size_b[x]) or (x not in size_b and x not in wanted)
    ]
    gone_b = [
        x
        for x in lb
        if (x in size_a and size_b[x] == 1 != size_a[x]) or (x not in size_a and x not in wanted)
    ]
    # ... and where nobody else wants it, the larger one is summed by itself
    gone_b += [x for x in gone_a if x in size_b and x not in wanted and x not in gone_b]
    gone_a += [x for x in gone_b if x in size_a and x not in wanted and x not in gone_a]
    keep_a, keep_b = [x for x in la if x not in gone_a], [x for x in lb if x not in gone_b]
    both = [x for x in keep_a if x in keep_b]
    batch = [x for x in both if x in wanted]
    summed = [x for x in both if x not in wanted]
    left = [x for x in keep_a if x not in both]
    right = [x for x in keep_b if x not in both]
    perm_a = [keep_a.index(x) for x in (*batch, *left, *summed)]
    result_labels = (*batch, *left, *right)
    sizes = {**{x: size_b[x] for x in keep_b}, **{x: size_a[x] for x in keep_a}}
    result = [sizes[x] for x in result_labels]

    def total(ls: list) -> int:
        return math.prod(sizes[x] for x in ls)

    if not summed:
        how = "mul"
        perm_b = [keep_b.index(x) for x in (*batch, *right)]
        shape_a = [sizes[x] for x in (*batch, *left)] + [1] * len(right)
        shape_b = [sizes[x] for x in batch] + [1] * len(left) + [sizes[x] for x in right]
    else:
        how = "bmm" if batch else "mm"
        perm_b = [keep_b.index(x) for x in (*batch, *summed, *right)]
        lead = [total(batch)] if batch else []
        shape_a = [*lead, total(left), total(summed)]
        shape_b = [*lead, total(summed), total(right)]

    def unless_same(now: list[int], wished: list[int]) -> list[int] | None:
        return None if now == wished else wished

    rows_a, rows_b = ([sizes[keep[k]] for k in perm] for keep, perm in ((keep_a, perm_a), (keep_b, perm_b)))
    made = result if how == "mul" else [*shape_a[:-1], shape_b[-1]]
    step = _Step(
        i,
        j,
        [la.index(x) for x in gone_a],
        [lb.index(x) for x in gone_b],
        unless_same(list(range(len(perm_a))), perm_a),
        unless_same(list(range(len(perm_b))), perm_b),
        unless_same(rows_a, shape_a),
        unless_same(rows_b, shape_b),
        how,
        unless_same(made, result),
    )
    return step, result_labels, result


def _check_sizes(operands: list, shapes: list) -> None:
    seen: dict = {}
    for k, (ls, shape) in enumerate(zip(operands, shapes)):
        for x, n in zip(ls, shape):
            if n != 1 and seen.setdefault(x, n) != n:
                if isinstance(x, int):
                    raise _fail(
                        f"operands do not broadcast with remapped shapes [original->remapped]: dimension {x}"
                        f" has sizes {seen[x]} and {n}"
                    )
                raise _fail(
                    f"subscript {x} has size {n} for operand {k} which does not broadcast with previously"
                    f" seen size {seen[x]}"
                )


@functools.lru_cache(maxsize=512)
def _plan(equation: str, shapes: tuple) -> _Plan:
    operands, output = _parse(equation, [len(s) for s in shapes])
    terms: list = []
    diagonals = []
    for k, (ls, shape) in enumerate(zip(operands, shapes)):
        labels, sizes = list(ls), list(shape)
        diagonals.append(_diagonals(labels, sizes, k))
        terms.append((tuple(labels), sizes))
    _check_sizes([t[0] for t in terms], [t[1] for t in terms])
    alive = list(range(len(terms)))
    steps = []
    while len(alive) > 1:
        best = None
        pairs = (
            [(0, 1)]
            if len(alive) == 2
            else [(p, q) for p in range(len(alive)) for q in range(p + 1, len(alive))]
        )
        for p, q in pairs:
            i, j = alive[p], alive[q]
            wanted = set(output).union(*(terms[k][0] for k in alive if k not in (i, j)))
            made = _pair(i, j, terms, wanted)
            cost = math.prod(made[2]) - math.prod(terms[i][1]) - math.prod(terms[j][1])
            if best is None or cost < best[0]:
                best = cost, i, j, made
        _, i, j, (step, labels, sizes) = best
        steps.append(step)
        terms.append((labels, sizes))
        alive = [k for k in alive if k not in (i, j)] + [len(terms) - 1]
    labels = list(terms[alive[0]][0])
    sum_last = [d for d, x in enumerate(labels) if x not in output]
    labels = [x for x in labels if x in output]
    order = [labels.index(x) for x in output]
    return _Plan(diagonals, steps, sum_last, None if order == list(range(len(order))) else order)


def _laid_out(t: Any, gone: list[int], perm: list[int] | None, shape: list[int] | None) -> Any:
    if gone:
        t = t.sum(gone)
    if perm is not None:
        t = t.permute(perm)
    return t if shape is None else t.reshape(shape)


def _run(plan: _Plan, operands: Sequence[Any]) -> Any:
    terms = list(operands)
    for k, pairs in enumerate(plan.diagonals):
        for i, j in pairs:
            terms[k] = terms[k].diagonal(0, i, j)
    for s in plan.steps:
        a = _laid_out(terms[s.i], s.sum_i, s.perm_i, s.shape_i)
        b = _laid_out(terms[s.j], s.sum_j, s.perm_j, s.shape_j)
        made = a * b if s.how == "mul" else a.mm(b) if s.how == "mm" else a.bmm(b)
        terms.append(made if s.result is None else made.reshape(s.result))
        terms[s.i] = terms[s.j] = None
    result = terms[-1]
    if plan.sum_last:
        result = result.sum(plan.sum_last)
    return result if plan.order is None else result.permute(plan.order)


def _from_lists(args: tuple) -> tuple[str, list]:
    """Equation and operands from ``einsum(op1, [0, 1], op2, [1, 2], [0, 2])``."""

    def letter(n: int) -> str:
        if not 0 <= n < 52:
            raise ValueError("torch.einsum(): all subscripts should be within [0, 52)")
        return chr(ord("A") + n) if n < 26 else chr(ord("a") + n - 26)

    def text(labels: Sequence[Any]) -> str:
        return "".join("..." if x is Ellipsis else letter(x) for x in labels)

    equation = ",".join(text(ls) for ls in args[1::2])
    operands = list(args[::2])
    if len(args) % 2:
        equation += "->" + text(args[-1])
        operands.pop()
    return equation, operands


def _equation_and_operands(*args: Any) -> tuple[str, Sequence[Any]]:
    """The call in its plain form, of whichever form it was."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and"
            " its subscripts list"
        )
    if isinstance(args[0], fb.Tensor):
        return _from_lists(args)
    if len(args) == 2 and isinstance(args[1], (list, tuple)):
        return args[0], args[1]
    return args[0], args[1:]


def _as_passed(*args: Any) -> tuple[tuple, dict]:
    """What ``__torch_function__`` sees of a call."""
    equation, operands = _equation_and_operands(*args)
    return (equation, *operands), {}


@composite("einsum(str equation, Tensor[] tensors) -> Tensor", python=True)
@passes(_as_passed)
def einsum(*args: Any) -> fb.Tensor:
    """Sum of products of tensors over index letters: ``einsum("bij,bjk->bik", a, b)``.

    Letters missing on the right are summed over; without ``->`` those that appear once remain, in
    alphabetical order; ``...`` stands for further dimensions, which broadcast; a letter twice in one operand
    takes its diagonal. The form ``einsum(op1, [0, 1], op2, [1, 2], [0, 2])`` uses numbers.
    """
    equation, operands = _equation_and_operands(*args)
    return _run(_plan(equation, tuple([t.shape for t in operands])), operands)
