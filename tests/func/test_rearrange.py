"""torch.func.rearrange; results of torch 2.13."""

import pytest

import flambeau as torch
from flambeau.func import rearrange

X = torch.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("pattern", "lengths", "shape", "start"),
    [
        ("a b c -> c a b", {}, (4, 2, 3), [0, 4, 8, 12]),
        ("a b c -> (a b) c", {}, (6, 4), [0, 1, 2, 3]),
        ("a (b d) c -> a d b c", {"d": 3}, (2, 3, 1, 4), [0, 1, 2, 3]),
        ("... c -> c ...", {}, (4, 2, 3), [0, 4, 8, 12]),
        ("a b c -> a 1 b c", {}, (2, 1, 3, 4), [0, 1, 2, 3]),
        ("a b (c d) -> a b c d", {"c": 2}, (2, 3, 2, 2), [0, 1, 2, 3]),
        ("... -> (...)", {}, (24,), [0, 1, 2, 3]),
        ("a b c -> (c b) () a", {}, (12, 1, 2), [0, 12, 4, 16]),
    ],
)
def test_patterns(pattern, lengths, shape, start):
    made = rearrange(X, pattern, **lengths)
    assert made.shape == shape and made.flatten()[:4].tolist() == start


def test_lists_and_refusals():
    assert rearrange([torch.ones(2), torch.zeros(2)], "n a -> a n").tolist() == [[1, 0], [1, 0]]
    for pattern, lengths, message in [
        ("a b c", {}, "Pattern must contain a single '->' separator"),
        ("a b c -> a b", {}, r"Identifiers only on one side .*\{'c'\}"),
        ("a b -> b a", {}, r"Number of dimensions in pattern \(2\) must be equal to .* tensor \(3\)"),
        ("a (b d) c -> a d b c", {"d": 2}, "inferred dimension does not evenly fit into larger dimension: 3"),
        ("a b c -> (...)", {}, "Ellipsis found in right side, but not left side"),
        ("a b c -> a a b c", {}, "Indexing expression contains duplicate dimension 'a'"),
        ("a b c+ -> a b c", {}, r"Unknown character '\+'"),
    ]:
        with pytest.raises(ValueError, match=message):
            rearrange(X, pattern, **lengths)
