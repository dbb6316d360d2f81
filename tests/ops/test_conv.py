"""Convolutions: results, gradients and gradients of gradients, against values of PyTorch 2.13."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

from .digest import digest, same_digest, wave

CASES = [
    (
        lambda x, w, b: F.conv1d(x, w, b, 2, 1, 2),
        lambda: (
            wave(2, 3, 11),
            wave(4, 3, 3),
            wave(4),
        ),
        [[2, 4, 5], 3.0840919, 14.5182407, -7.53185914, 1.65060795, 27.2403275, -4.51740397, 0.0, 63.0163822],
    ),
    (
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0), (1, 2), 2),
        lambda: (
            wave(2, 4, 7, 8),
            wave(6, 2, 3, 2),
            wave(6),
        ),
        [
            [2, 6, 4, 6],
            30.3434753,
            -0.931996134,
            -0.0937303896,
            -0.811983945,
            6.43699175,
            -25.6048627,
            0.0,
            -59.3696757,
        ],
    ),
    (
        lambda x, w: F.conv2d(x, w, groups=4, padding=1),
        lambda: (
            wave(1, 4, 5, 5),
            wave(8, 1, 3, 3),
        ),
        [[1, 8, 5, 5], 2.50999809, -17.1917423, -4.0986276, 259.077176, 14.8829299, 188.948964],
    ),
    (
        lambda x, w: F.conv3d(x, w, padding=1),
        lambda: (
            wave(1, 2, 4, 3, 5),
            wave(3, 2, 3, 3, 3),
        ),
        [[1, 3, 4, 3, 5], 19.8105603, 7.67182993, -5.75989784, -199.709365, -67.4137341, -2229.87029],
    ),
    (
        lambda x, w: F.conv2d(x, w, padding="same", dilation=(1, 2)),
        lambda: (
            wave(1, 2, 6, 5),
            wave(3, 2, 3, 3),
        ),
        [[1, 3, 6, 5], 2.7377454, -1.40453381, -10.235157, 59.0294498, -8.54050236, 67.5821136],
    ),
    (
        lambda x, w: F.conv2d(x, w, padding="valid"),
        lambda: (
            wave(2, 6, 5),
            wave(3, 2, 3, 3),
        ),
        [[3, 4, 3], -4.73683791, 19.8829181, 4.73732514, 62.7027996, 105.591288, 240.887097],
    ),
    (
        lambda x, w, b: F.conv_transpose1d(x, w, b, 3, 1, 2, 1, 1),
        lambda: (
            wave(2, 3, 5),
            wave(3, 4, 4),
            wave(4),
        ),
        [
            [2, 4, 16],
            1.18901225,
            -2.93857397,
            6.67793193,
            0.552723917,
            -7.81940593,
            -565.60656,
            0.0,
            -132.103161,
        ],
    ),
    (
        lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1, 2, (1, 2)),
        lambda: (
            wave(1, 4, 3, 4),
            wave(4, 3, 3, 2),
            wave(6),
        ),
        [
            [1, 6, 6, 8],
            10.1476809,
            4.24352639,
            2.06663287,
            1.09387649,
            27.7486086,
            -38.368268,
            0.0,
            -19.9084323,
        ],
    ),
    (
        lambda x, w: F.conv_transpose3d(x, w, stride=2),
        lambda: (
            wave(1, 2, 2, 3, 2),
            wave(2, 2, 2, 2, 2),
        ),
        [[1, 2, 4, 6, 4], -7.92913223, 1.04708946, 4.41103099, 29.6631561, 39.7680862, 57.3778682],
    ),
    (
        lambda x, w, b: fb.conv_tbc(x, w, b, 1),
        lambda: (
            wave(5, 2, 3),
            wave(3, 3, 4),
            wave(4),
        ),
        [[5, 2, 4], -3.11838602, 2.67449745, 6.247411, 1.84377428, -82.4165998, 97.1007143, 0.0, 154.859435],
    ),
]


@pytest.mark.parametrize(("function", "inputs", "golden"), CASES)
def test_values(function, inputs, golden):
    same_digest(digest(function, *inputs()), golden)
