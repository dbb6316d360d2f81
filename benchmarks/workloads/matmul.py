"""Matrix products."""

from __future__ import annotations

from benchmarks.workload import workload


def square(n, target):
    """The product of two n x n matrices."""

    @workload("matmul", f"matmul {n}", target)
    def prepare(torch):
        a, b = torch.rand(n, n), torch.rand(n, n)
        return lambda: a @ b


for size, wanted in ((10, 2), (32, 2), (64, 1), (128, 1), (256, 1), (512, 2), (1024, 2), (2048, 2)):
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


@workload("matmul", "vector-matrix, 1000x1000")
def vector_matrix(torch):
    a, x = torch.rand(1000, 1000), torch.rand(1000)
    return lambda: x @ a


@workload("matmul", "linear, one row, 768 to 3072")
def linear_one_row(torch):
    layer, x = torch.nn.Linear(768, 3072), torch.rand(1, 768)

    def work():
        with torch.no_grad():
            return layer(x)

    return work


@workload("matmul", "a.t() @ b, 512")
def left_transposed(torch):
    a, b = torch.rand(512, 512), torch.rand(512, 512)
    return lambda: a.t() @ b


@workload("matmul", "bmm with b transposed, 96 of 128x64")
def batched_transposed(torch):
    a, b = torch.rand(96, 128, 64), torch.rand(96, 128, 64)
    return lambda: torch.bmm(a, b.transpose(1, 2))


@workload("matmul", "baddbmm, 64 of 64x64")
def batched_sum(torch):
    c, a, b = (torch.rand(64, 64, 64) for _ in range(3))
    return lambda: torch.baddbmm(c, a, b)


@workload("matmul", "matmul 512, float64")
def doubles(torch):
    a, b = torch.rand(512, 512).double(), torch.rand(512, 512).double()
    return lambda: a @ b


def half(size):
    """The product of two n x n matrices of bfloat16."""

    @workload("matmul", f"matmul {size}, bfloat16", tolerance=2e-2)
    def prepare(torch):
        a, b = torch.rand(size, size).bfloat16(), torch.rand(size, size).bfloat16()
        return lambda: a @ b


for bf16_size in (64, 512, 1024):
    half(bf16_size)


@workload("matmul", "linear 64x784 to 512, bfloat16", tolerance=2e-2)
def linear_half(torch):
    layer, x = torch.nn.Linear(784, 512).bfloat16(), torch.rand(64, 784).bfloat16()

    def work():
        with torch.no_grad():
            return layer(x)

    return work


@workload("matmul", "einsum bhqd,bhkd->bhqk, 8 heads of 128x64")
def einsum_scores(torch):
    q, k = torch.rand(2, 8, 128, 64), torch.rand(2, 8, 128, 64)
    return lambda: torch.einsum("bhqd,bhkd->bhqk", q, k)


@workload("matmul", "attention both ways, causal, 8 heads of 256x64")
def attention_causal(torch):
    q, k, v = (torch.rand(2, 8, 256, 64).requires_grad_() for _ in range(3))

    def work():
        q.grad = k.grad = v.grad = None
        torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
        return [q.grad, k.grad, v.grad]

    return work


@workload("matmul", "attention, one query, 512 keys, 12 heads")
def attention_decode(torch):
    q, k, v = torch.rand(1, 12, 1, 64), torch.rand(1, 12, 512, 64), torch.rand(1, 12, 512, 64)
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v)


@workload("matmul", "attention, 8 heads of 128x64")
def attention(torch):
    q, k, v = (torch.rand(2, 8, 128, 64) for _ in range(3))
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v)
