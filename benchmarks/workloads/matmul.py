"""Matrix products."""

from __future__ import annotations

from benchmarks.workload import workload


def square(n, target):
    """The product of two n x n matrices."""

    @workload("matmul", f"matmul {n}", target)
    def prepare(torch):
        a, b = torch.rand(n, n), torch.rand(n, n)
        return lambda: a @ b


for size, wanted in ((64, 1), (128, 1), (256, 1), (512, 2), (1024, 2), (2048, 2)):
    square(size, wanted)


@workload("matmul", "matrix-vector, 1000x1000")
def matrix_vector(torch):
    a, x = torch.rand(1000, 1000), torch.rand(1000)
    return lambda: a @ x


@workload("matmul", "a @ b.t(), 512")
def transposed(torch):
    a, b = torch.rand(512, 512), torch.rand(512, 512)
    return lambda: a @ b.t()


@workload("matmul", "bmm, 64 of 64x64")
def batched(torch):
    a, b = torch.rand(64, 64, 64), torch.rand(64, 64, 64)
    return lambda: torch.bmm(a, b)


@workload("matmul", "bmm, 10000 of 4x4")
def tiny_batched(torch):
    a, b = torch.rand(10_000, 4, 4), torch.rand(10_000, 4, 4)
    return lambda: torch.bmm(a, b)


@workload("matmul", "addmm, 64x784 by 784x512")
def addmm(torch):
    c, a, b = torch.rand(512), torch.rand(64, 784), torch.rand(784, 512)
    return lambda: torch.addmm(c, a, b)


@workload("matmul", "linear both ways, 64x784 to 512")
def linear(torch):
    layer, x = torch.nn.Linear(784, 512), torch.rand(64, 784)

    def work():
        layer.zero_grad()
        layer(x).sum().backward()
        return [layer.weight.grad, layer.bias.grad]

    return work


@workload("matmul", "einsum bij,bjk->bik, 32 of 64x64")
def einsum(torch):
    a, b = torch.rand(32, 64, 64), torch.rand(32, 64, 64)
    return lambda: torch.einsum("bij,bjk->bik", a, b)


@workload("matmul", "attention, 8 heads of 128x64")
def attention(torch):
    q, k, v = (torch.rand(2, 8, 128, 64) for _ in range(3))
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v)
