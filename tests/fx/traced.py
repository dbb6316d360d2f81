"""Programs whose traces are compared with torch's; ``golden.json`` beside has what torch 2.13
gives for each.
"""

from __future__ import annotations

import math
import operator


def programs(torch) -> dict:
    """Name -> module or function, made with the package that is given."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, i, o, stride=1):
            super().__init__()
            self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(o)
            self.relu = nn.ReLU(inplace=True)
            self.down = nn.Sequential(nn.Conv2d(i, o, 1, stride), nn.BatchNorm2d(o)) if i != o else None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            identity = x if self.down is None else self.down(x)
            out = self.bn1(self.conv1(x))
            out += identity
            return self.relu(out)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 8, 7, 2, 3)
            self.layer1 = nn.Sequential(Block(8, 8), Block(8, 16, 2))
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(16, 4)
            self.scale = nn.Parameter(torch.ones(4))
            self.register_buffer("offset", torch.zeros(4))

        def forward(self, x, y=None, *, k=2):
            x = F.max_pool2d(F.relu(self.conv1(x)), 3, 2, 1)
            x = torch.flatten(self.avgpool(self.layer1(x)), 1)
            x = self.fc(x) * self.scale + self.offset
            x = x.view(x.size(0), x.shape[1]) + torch.ones(4)
            return {"out": x, "pair": (x[:, 0], x[..., None]), "list": [-x, 1 - x, x**2, x @ x.t(), ~(x > 0)]}

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.MultiheadAttention(4, 2)
            self.n = nn.LayerNorm(4)
            self.ff = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
            self.p = nn.Parameter(torch.zeros(1, 4))
            self.many = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])

        def forward(self, x):
            h, _ = self.a(x, x, x, need_weights=False)
            x = self.n(x + h)
            for layer in self.many:
                x = layer(x)
            B, N, C = x.shape
            q = x.reshape(B, N, 2, C // 2).permute(0, 2, 1, 3)
            att = (q @ q.transpose(-2, -1)) * (C**-0.5)
            att = att.softmax(dim=-1) + F.softmax(x, dim=1)
            return x + self.ff(x) + self.p + att + self.p

    def functions(x):
        return (
            torch.relu(x), F.gelu(x), F.dropout(x, 0.1), F.layer_norm(x, (3,)), torch.split(x, 1),
            F.pad(x, (1, 1)),
            torch.einsum("ij->ji", x), F.interpolate(x, scale_factor=2), F.adaptive_avg_pool2d(x, 1),
            F.scaled_dot_product_attention(x, x, x), torch.max(x, dim=1)[0], torch.max(x, 1).values,
            F.silu(x),
            F.cross_entropy(x, x), F.normalize(x), F.embedding(x, x), torch.zeros_like(x),
            torch.arange(x.size(0)),
            torch.where(x > 0, x, 0.0), x.masked_fill(x == 0, float("-inf")), x.to(dtype=torch.half,
            device="cpu"),
            torch.stack([x, x]), torch.zeros(x.shape[0], device=x.device), torch.cdist(x, x),
            torch.meshgrid(x, x),
        )  # fmt: skip

    def operators(x, y):
        names = (
            "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift lt le eq ne gt ge".split()
        )
        both = [getattr(operator, n)(x, y) for n in names]
        return both + [
            -x,
            +x,
            ~x,
            abs(x),
            1 + x,
            1 - x,
            2 * x,
            1 / x,
            1 // x,
            1 % x,
            2**x,
            1 & x,
            1 | x,
            1 ^ x,
        ]

    def unpack(x):
        a, b = x.chunk(2)
        return a + b

    def annotated(
        x: torch.Tensor, n: int = 3, m=float("inf"), d: torch.dtype = torch.float32
    ) -> torch.Tensor:
        return x.clamp(max=m).to(d) * n

    def attributes(x):
        return x.shape, x.T, x.grad.foo, x.a.b(1), x[1:2, :, None, ..., x]

    def constants(x):
        return torch.ones(3) + x, torch.ones(3) @ x, x - torch.ones(3)

    def branches(x):
        return x if x.sum() > 0 else -x

    def loops(x):
        return [v + 1 for v in x]

    return {
        "resnet": Net(), "attention": Attention(), "sequential": nn.Sequential(nn.Linear(2, 2),
        nn.Sequential(nn.ReLU())),
        "functions": functions, "operators": operators, "unpack": unpack, "annotated": annotated,
        "attributes": attributes, "constants": constants,
        "math": lambda x: math.sqrt(x) + x.sum().type(torch.float32),
        "packed": lambda *args, **kw: args[0] + kw["a"], "branches": branches, "loops": loops,
        "length": lambda x: len(x), "truth": lambda x, y: x and y, "linear": nn.Linear(2, 2, bias=False),
    }  # fmt: skip


def described(torch, program) -> dict[str, str]:
    """Its graph and code, or the error that tracing it gives."""
    try:
        module = torch.fx.symbolic_trace(program)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"graph": str(module.graph), "code": module.code}
