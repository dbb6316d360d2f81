"""The steps of synchronised batch normalisation, joined over two parts of a batch, against batch_norm."""

import flambeau as torch
from flambeau.nn import functional as F


def test_parts_of_a_batch_normalise_as_the_whole():
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.tensor([1.0, 2, 3]).double(), torch.tensor([0.5, 0, -1]).double()
    running = [torch.zeros(3).double(), torch.ones(3).double()]
    want = F.batch_norm(x, *running, weight, bias, True, 0.1, 1e-5)
    g = torch.randn(6, 3, 4, dtype=torch.float64)
    want.backward(g)

    parts, grads = x.detach().split([2, 4]), g.split([2, 4])
    stats = [torch.batch_norm_stats(p, 1e-5) for p in parts]
    means, invstds = (torch.stack(s) for s in zip(*stats))
    counts = torch.tensor([8.0, 16.0]).double()
    mine = [torch.zeros(3).double(), torch.ones(3).double()]
    mean, invstd = torch.batch_norm_gather_stats_with_counts(
        x.detach(), means, invstds, *mine, 0.1, 1e-5, counts
    )
    made = torch.cat([torch.batch_norm_elemt(p, weight, bias, mean, invstd, 1e-5) for p in parts])
    torch.testing.assert_close(made, want.detach())
    torch.testing.assert_close(mine, running)

    sums = [
        torch.batch_norm_backward_reduce(gp, p, mean, invstd, weight, True, True, True)
        for gp, p in zip(grads, parts)
    ]
    total, product = sums[0][0] + sums[1][0], sums[0][1] + sums[1][1]
    back = [
        torch.batch_norm_backward_elemt(gp, p, mean, invstd, weight, total, product, counts)
        for gp, p in zip(grads, parts)
    ]
    torch.testing.assert_close(torch.cat(back), x.grad)
    torch.testing.assert_close(sums[0][3] + sums[1][3], g.sum((0, 2)))


def test_equal_parts():
    x = torch.arange(12.0).reshape(2, 3, 2)
    mean, invstd = torch.batch_norm_stats(x, 1e-5)
    joint = torch.batch_norm_gather_stats(
        x, torch.stack([mean] * 2), torch.stack([invstd] * 2), None, None, 0.1, 1e-5, 4
    )
    torch.testing.assert_close(joint, (mean, invstd))
