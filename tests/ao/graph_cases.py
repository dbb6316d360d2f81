"""What PyTorch makes of traced networks; with an interpreter that has torch,

python tests/ao/graph_cases.py > tests/ao/graph_golden.json
"""

import copy
import json
import warnings
from importlib import import_module

import numpy as np


def _filled(torch, model):
    rng = np.random.default_rng(7)
    with torch.no_grad():
        for name, p in model.named_parameters():
            one = 1 if name.endswith("weight") and p.dim() == 1 else 0
            p.copy_(torch.from_numpy((rng.standard_normal(tuple(p.shape)) * 0.3 + one).astype("float32")))
    return model


def _batch(torch, *shape):
    return torch.from_numpy(np.random.default_rng(1).standard_normal(shape).astype("float32"))


def make_models(torch):
    nn, F = torch.nn, torch.nn.functional

    class Pictures(nn.Module):
        def __init__(self):
            super().__init__()
            self.c, self.b, self.r = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
            depthwise = nn.Conv2d(6, 6, 3, groups=6)
            self.seq = nn.Sequential(nn.Conv2d(4, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(), depthwise)
            self.fc = nn.Linear(6, 3)

        def forward(self, x):
            y = F.max_pool2d(self.seq(self.r(self.b(self.c(x)))), 2)
            y = F.adaptive_avg_pool2d(y, 1)
            z = torch.tanh(self.fc(y.view(y.size(0), -1)))
            return F.softmax(z.sigmoid() * z, -1) + 1.0

    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.l, self.f = nn.Linear(6, 6), nn.LSTM(6, 4), nn.Linear(4, 2)
            self.act, self.el, self.lr = nn.Hardswish(), nn.ELU(), nn.LeakyReLU(0.2)

        def forward(self, x):
            x, _ = self.l(self.lr(self.el(self.act(self.a(x)))))
            u, v = x.permute(1, 0, 2).contiguous().chunk(2, -1)
            return self.f(torch.cat([u, v], -1)) + F.gelu(x).mean()

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.f, self.g = nn.Embedding(10, 6), nn.Linear(6, 3), nn.Linear(3, 3)
            self.q = torch.ao.nn.quantized.FloatFunctional()

        def forward(self, i):
            x = self.f(self.e(i))
            y = F.relu(self.g(x))
            return self.q.add(x, y) * y

    return {
        "pictures": (Pictures, _batch(torch, 2, 3, 12, 12)),
        "steps": (Steps, _batch(torch, 2, 3, 6)),
        "words": (Words, torch.tensor([[1, 2], [3, 4]])),
    }


def mappings(torch):
    q, nn = torch.ao.quantization, torch.nn
    static = q.get_default_qconfig_mapping("x86")
    tables = q.get_default_qconfig_mapping("qnnpack")
    tables.set_object_type(nn.Embedding, q.float_qparams_weight_only_qconfig)
    named = q.QConfigMapping().set_global(q.get_default_qconfig("qnnpack")).set_module_name("seq", None)
    named.set_object_type(torch.tanh, None).set_module_name_regex("f.*", q.default_qconfig)
    return {
        "static": static,
        "tables": tables,
        "dynamic": q.QConfigMapping().set_global(q.default_dynamic_qconfig),
        "named": named,
    }


def _shown(model):
    return [model.code, [f"{n}:{type(m).__name__}" for n, m in sorted(model.named_modules())]]


def _each(torch):
    fx = import_module(torch.__name__ + ".ao.quantization.quantize_fx")
    for model, (make, x) in make_models(torch).items():
        for name, mapping in mappings(torch).items():
            plain = _filled(torch, make()).eval()
            ready = fx.prepare_fx(plain, mapping, (x,))
            yield f"{model} {name}", fx, ready, x


def prepared(torch):
    return {name: _shown(ready) for name, _, ready, _ in _each(torch)}


def converted(torch):
    found = {}
    for name, fx, ready, x in _each(torch):
        if name == "pictures named":  # PyTorch's own result does not run
            continue
        ready(x)
        reference, lowered = fx.convert_to_reference_fx(copy.deepcopy(ready)), fx.convert_fx(ready)
        result = [round(v, 3) for v in lowered(x).flatten().tolist()]
        found[name] = [_shown(reference), _shown(lowered), list(lowered.state_dict()), result]
    return found


def trained(torch):
    q = torch.ao.quantization
    fx = import_module(torch.__name__ + ".ao.quantization.quantize_fx")
    make, x = make_models(torch)["pictures"]
    ready = fx.prepare_qat_fx(_filled(torch, make()).train(), q.get_default_qat_qconfig_mapping("x86"), (x,))
    optimizer, losses = torch.optim.SGD(ready.parameters(), lr=0.05), []
    for _ in range(3):
        loss = ready(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(round(float(loss), 3))
    return {"pictures": [_shown(ready), losses]}


def all_cases(torch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {f.__name__: f(torch) for f in (prepared, converted, trained)}


if __name__ == "__main__":
    import torch

    print(json.dumps(all_cases(torch)))
