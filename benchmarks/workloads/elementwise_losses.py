"""Losses, forward and backward."""

from __future__ import annotations

from benchmarks.workload import workload

GROUP = "elementwise"
SMALL, MIDDLE = 10_000, 1_000_000


def loss(name, make, sizes=(SMALL, MIDDLE), target=1.0):
    """One workload a size: ``make(torch, n)`` gives the function, the input and what else it takes."""
    for n in sizes:

        @workload(GROUP, f"{name} both ways, {n:.0e}".replace("e+0", "e"), target)
        def prepare(torch, n=n):
            function, x, *others = make(torch, n)
            x = x.requires_grad_()

            def work():
                x.grad = None
                function(x, *others).backward()
                return x.grad

            return work


def of_elements(name, **options):
    """A loss of `n` numbers between 0 and 1 and as many targets."""

    def make(torch, n):
        function = getattr(torch.nn.functional, name)
        return lambda x, y: function(x, y, reduction="sum", **options), torch.rand(n), torch.rand(n)

    loss(name, make)


def of_classes(name, text, classes, **options):
    """A loss of scores of classes and the right class of each row."""

    def make(torch, n):
        function = getattr(torch.nn.functional, name)
        rows = n // classes
        return (
            lambda x, y: function(x, y, **options),
            torch.rand(rows, classes),
            torch.randint(0, classes, (rows,)),
        )

    loss(text, make)


for kind in (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "soft_margin_loss",
    "poisson_nll_loss",
):
    of_elements(kind)
of_classes("cross_entropy", "cross_entropy, 10 classes,", 10)
of_classes("cross_entropy", "cross_entropy, 100 classes,", 100)
of_classes("cross_entropy", "smoothed cross_entropy, 100 classes,", 100, label_smoothing=0.1)
of_classes("nll_loss", "nll_loss, 100 classes,", 100)
of_classes("multi_margin_loss", "multi_margin_loss, 100 classes,", 100)


def images(torch, n):
    """Scores of 16 classes for each pixel."""
    shape = (n // 1600, 16, 10, 10)
    target = torch.randint(0, 16, (shape[0], 10, 10))
    return torch.nn.functional.cross_entropy, torch.rand(shape), target


def labels(torch, n):
    """Several right classes a row."""
    return (
        torch.nn.functional.multilabel_margin_loss,
        torch.rand(n // 20, 20),
        torch.randint(-1, 20, (n // 20, 20)),
    )


def rows(torch, n):
    """Pairs of rows, near or far."""
    a, b, sign = torch.rand(n // 128, 128), torch.rand(n // 128, 128), torch.ones(n // 128)
    return torch.nn.functional.cosine_embedding_loss, a, b, sign


def triplets(torch, n):
    """Rows, their like and their unlike."""
    a, b, c = (torch.rand(n // 128, 128) for _ in range(3))
    return torch.nn.functional.triplet_margin_loss, a, b, c


loss("cross_entropy of images", images)
loss("multilabel_margin_loss", labels)
loss("cosine_embedding_loss", rows)
loss("triplet_margin_loss", triplets)
