"""Random programs of views, writes and gradients: compiled they do what they do uncompiled."""

import math
import random

import pytest

import flambeau as fb
import flambeau.nn.functional as F

VIEWS = """
{t}.select({d}, 0) | {t}[0:2] | {t}[1:3:2] | {t}.transpose(0, {d}) | {t}.unsqueeze({d}) | {t}.squeeze()
{t}.diagonal() | {t}.expand(2, *{t}.shape) | {t}.narrow({d}, 0, 1) | {t}.reshape(-1) | {t}.view(-1)
{t}.unfold({d}, 2, 1) | {t}.mT | {t}.detach() | {t}.movedim(0, -1) | {t}[...] | {t}.chunk(2, {d})[0]
{t}.unbind({d})[-1] | {t}.conj() | {t}.real | {t}.view_as({u}) | {t}.contiguous()
"""
VALUES = """
{t}.sin() | {t}.exp() | {t}.tanh() | {t}.clone() | {t}.neg() | {t}.abs() | {t}.relu() | {t}.cumsum(0)
{t}.softmax(0) | {t}.flip(0) | F.gelu({t}) | F.layer_norm({t}, {t}.shape[-1:]) | F.pad({t}, (1, 0))
{t}.clamp(-0.3, 0.6) | {t}[fb.tensor([0, 0])] | {t}.masked_fill({t}.real > 0, 0.5) | {t} * 2 + 1
1 / ({t} + 3) | {t}**2 | {t} // 2 | {t} + {u} | {t} - {u} | {t} * {u} | fb.cat([{t}, {u}])
fb.stack([{t}, {u}]) | {t} @ {u} | fb.maximum({t}, {u}) | fb.where({t}.real > 0, {t}, {u})
fb.addcmul({t}, {u}, {u}) | {t}.lerp({u}, 0.3) | fb.outer({t}, {u}) | {t}.sum({d}) | {t}.mean({d})
{t}.amax({d}) | {t}.prod({d}) | {t}.var({d}) | {t}.sum() | {t}.norm() | {t}.max()
"""
WRITES = """
{t}.add_(1.5) | {t}.mul_({u}) | {t}.copy_({u}) | {t}.zero_() | {t}.sin_() | {t}.clamp_(-0.3, 0.6)
{t}.relu_() | {t}[0] = {u} | {t}[..., :2] = {u} | {t}[{t}.real > 0] = 0.25 | {t} += {u} | {t} *= 2
{t}.addcmul_({u}, {u}) | {t}.fill_(2.0) | {t}.transpose_(0, -1) | {t}.masked_fill_({t}.real > 0, 1.0)
{t}.t().add_(1) | {t}[0].mul_(2) | fb.add({t}, 1, out={t})
"""
KINDS = [
    [e.strip() for line in text.split("\n") for e in line.split("|") if e.strip()]
    for text in (VIEWS, VALUES, WRITES)
]


def arguments(forms, scale=1.0):
    made = []
    for shape, dtype, requires_grad in forms:
        values = (fb.arange(math.prod(shape), dtype=fb.float64).reshape(shape) * 0.37 - 0.5) * scale
        made.append(values.to(dtype).requires_grad_(requires_grad))
    return made


def program(seed):
    """The text of a function, and the forms of its arguments; lines that raise are left out."""
    choose = random.Random(seed)
    forms = []
    for _ in range(choose.randint(1, 3)):
        dtype = choose.choice([fb.float64] * 5 + [fb.float32, fb.complex128, fb.int64])
        shape = [choose.randint(1, 4) for _ in range(choose.randint(1, 3))]
        forms.append((shape, dtype, dtype is not fb.int64 and choose.random() < 0.5))
    start = {f"x{i}": x * 1 if x.requires_grad else x for i, x in enumerate(arguments(forms))}
    names, lines, state = list(start), [], start
    for k in range(choose.randint(3, 12)):
        kind = choose.choices((0, 1, 2), (3, 4, 3))[0]
        line = choose.choice(KINDS[kind]).format(
            t=choose.choice(names), u=choose.choice(names), d=choose.choice([0, -1, 1])
        )
        line = line if kind == 2 else f"v{k} = {line}"
        attempt = dict(state)
        try:
            exec(line, {"fb": fb, "F": F}, attempt)
            for t in attempt.values():
                _ = t.grad_fn  # of some views the history is refused now
        except (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError):
            fresh = {f"x{i}": x * 1 if x.requires_grad else x for i, x in enumerate(arguments(forms))}
            exec("\n".join(lines), {"fb": fb, "F": F}, fresh)  # it may have written before it failed
            state = fresh
            continue
        state = attempt
        lines.append(line)
        if kind != 2:
            names.append(f"v{k}")
    results = [n for n in names if n[0] == "v"] or ["x0"]
    results = choose.sample(results, min(len(results), 3))
    head = f"def f({', '.join(start)}):\n"
    return head + "".join(f"    {line}\n" for line in lines) + f"    return ({', '.join(results)},)\n", forms


def outcome(function, forms, scale):
    leaves = arguments(forms, scale)
    given = [x * 1 if x.requires_grad else x for x in leaves]
    results = function(*given)
    tracked = [r for r in results if r.requires_grad]
    if tracked:
        sum(
            ((r.abs() if r.is_complex() else r) * (i + 1)).sum().double() for i, r in enumerate(tracked)
        ).backward()
    seen = [t.detach().clone() for t in (*results, *given)]
    return seen, [t.requires_grad for t in (*results, *given)], [x.grad for x in leaves]


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_compiled_programs_agree(first):
    for seed in range(first, first + 25):
        text, forms = program(seed)
        space = {"fb": fb, "F": F}
        exec(text, space)
        try:
            wanted = {scale: outcome(space["f"], forms, scale) for scale in (1.0, 2.0, -1.0)}
        except (RuntimeError, IndexError):  # for other values, or in its backward
            continue
        compiled = fb.compile(space["f"])
        for scale in (1.0, 2.0, -1.0, 1.0, 1.0):
            values, tracked, grads = outcome(compiled, forms, scale)
            expected = wanted[scale]
            note = f"seed {seed}\n{text}"
            assert tracked == expected[1], note
            for got, want in zip([*values, *grads], [*expected[0], *expected[2]]):
                assert (got is None) == (want is None), note
                if want is not None:
                    fb.testing.assert_close(got, want, rtol=1e-5, atol=1e-7, equal_nan=True, msg=note)
