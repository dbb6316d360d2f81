"""What PyTorch computes when networks are prepared for quantization; with an interpreter that has torch,

python tests/ao/quant_cases.py > tests/ao/quant_golden.json
"""

import json
import warnings

import numpy as np

OBSERVERS = """MinMaxObserver MovingAverageMinMaxObserver PerChannelMinMaxObserver HistogramObserver
MovingAveragePerChannelMinMaxObserver default_observer default_weight_observer default_histogram_observer
weight_observer_range_neg_127_to_127 default_per_channel_weight_observer default_float_qparams_observer
per_channel_weight_observer_range_neg_127_to_127 default_float_qparams_observer_4bit
default_fixed_qparams_range_neg1to1_observer""".split()
FAKES = """default_fake_quant default_weight_fake_quant default_dynamic_fake_quant
default_histogram_fake_quant
default_per_channel_weight_fake_quant default_embedding_fake_quant default_embedding_fake_quant_4bit
default_fused_act_fake_quant default_fused_wt_fake_quant default_fused_per_channel_wt_fake_quant
fused_per_channel_wt_fake_quant_range_neg_127_to_127 default_fixed_qparams_range_0to1_fake_quant""".split()
GROUPS = [["c1", "b1", "r1"], ["c2", "b2"], ["c3", "r3"], ["l1", "rl"]]


def make_net(torch):
    nn, q = torch.nn, torch.ao.quantization

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.quant = q.QuantStub()
            self.c1, self.b1, self.r1 = (
                nn.Conv2d(3, 8, 3, padding=1, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU(),
            )
            self.c2, self.b2 = nn.Conv2d(8, 8, 3, stride=2), nn.BatchNorm2d(8)
            self.c3, self.r3 = nn.Conv2d(8, 4, 1), nn.ReLU()
            self.f = torch.ao.nn.quantized.FloatFunctional()
            self.l1, self.rl, self.l2 = nn.Linear(36, 16), nn.ReLU(), nn.Linear(16, 5)
            self.sig, self.dequant = nn.Sigmoid(), q.DeQuantStub()

        def forward(self, x):
            x = self.r1(self.b1(self.c1(self.quant(x))))
            x = self.r3(self.c3(self.b2(self.c2(x))))
            x = self.rl(self.l1(self.f.add(x, x).flatten(1)))
            return self.dequant(self.sig(self.l2(x)))

    net, rng = Net(), np.random.default_rng(7)
    with torch.no_grad():
        for name, p in net.named_parameters():
            one = 1 if name.endswith("weight") and p.dim() == 1 else 0
            p.copy_(torch.from_numpy((rng.standard_normal(tuple(p.shape)) * 0.3 + one).astype("float32")))
    return net


def _numbers(*tensors):
    return [[round(float(v), 5) for v in t.detach().reshape(-1).tolist()[:40]] for t in tensors]


def _tree(model):
    return [f"{name}:{type(m).__name__}" for name, m in model.named_modules()]


def observers(torch):
    q, found = torch.ao.quantization, {}
    for name in OBSERVERS:
        for seed, (scale, shift) in enumerate(((1, 0), (0.01, 1), (30, -3))):
            rng = np.random.default_rng(seed)
            observer = getattr(q, name)()
            for k in range(3):
                x = rng.standard_normal((6, 5, 3)).astype("float32") * np.float32((k + 1) * scale)
                observer(torch.from_numpy(x + np.float32(shift)))
            scales, zeros = observer.calculate_qparams()
            found[f"{name} {seed}"] = [list(observer.state_dict()), *_numbers(scales * 1000, zeros)]
    return found


def fakes(torch):
    q, found = torch.ao.quantization, {}
    for name in FAKES:
        for seed, scale in enumerate((1, 0.01)):
            rng = np.random.default_rng(seed)
            fake = getattr(q, name)()
            for k in range(3):
                x = torch.from_numpy((rng.standard_normal((8, 5)) * scale * (k + 1)).astype("float32"))
                x.requires_grad_()
                if k == 2:
                    fake.apply(q.disable_observer)
                y = fake(x)
                y.backward(torch.from_numpy(rng.standard_normal((8, 5)).astype("float32")))
            found[f"{name} {seed}"] = [list(fake.state_dict()), *_numbers(y, x.grad, fake.scale * 1000)]
    return found


def learnable(torch):
    q, found = torch.ao.quantization, {}
    from importlib import import_module

    fake = import_module(torch.__name__ + ".ao.quantization._learnable_fake_quantize")._LearnableFakeQuantize
    for each in (False, True):
        rng = np.random.default_rng(1)
        observer = q.PerChannelMinMaxObserver.with_args(ch_axis=1) if each else q.MovingAverageMinMaxObserver
        m = fake(observer, 0, 255, channel_len=5 if each else -1, use_grad_scaling=True)
        m(torch.from_numpy(rng.standard_normal((8, 5)).astype("float32")))
        m.enable_param_learning()
        x = torch.from_numpy(rng.standard_normal((8, 5)).astype("float32") * 2).requires_grad_()
        y = m(x)
        y.backward(torch.from_numpy(rng.standard_normal((8, 5)).astype("float32")))
        found[str(each)] = _numbers(y, x.grad, m.scale.grad, m.zero_point.grad)
    return found


def flow(torch):
    q, F, found = torch.ao.quantization, torch.nn.functional, {}
    for backend in ("x86", "qnnpack"):
        rng = np.random.default_rng(0)

        def batch(*shape, rng=rng):
            return torch.from_numpy(rng.standard_normal(shape).astype("float32"))

        net = make_net(torch).train()
        net(batch(4, 3, 8, 8))
        net.eval()
        fused = q.fuse_modules(net, GROUPS)
        fused.qconfig = q.get_default_qconfig(backend)
        ready = q.prepare(fused)
        for _ in range(2):
            y = ready(batch(4, 3, 8, 8))
        scales = [m.calculate_qparams() for m in ready.modules() if isinstance(m, q.ObserverBase)]
        found[backend] = [_tree(ready), list(ready.state_dict()), *_numbers(y)]
        found[backend] += [[round(float(s), 5), int(z)] for s, z in scales]
        for version in (0, 1):
            fused = q.fuse_modules_qat(make_net(torch).train(), GROUPS)
            fused.qconfig = q.get_default_qat_qconfig(backend, version)
            ready = q.prepare_qat(fused)
            optimizer, losses = torch.optim.SGD(ready.parameters(), lr=0.1), []
            for k in range(5):
                if k == 3:
                    ready.apply(q.disable_observer)
                    ready.apply(torch.ao.nn.intrinsic.qat.freeze_bn_stats)
                loss = F.mse_loss(ready(batch(8, 3, 8, 8)), batch(8, 5).sigmoid())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(round(float(loss), 4))
            found[f"{backend} {version}"] = [_tree(ready), list(ready.state_dict()), losses]
            found[f"{backend} {version}"].append(
                [str(getattr(ready, n).to_float()) for n in ("c1", "c2", "l1")]
            )
    return found


def converted(torch):
    """Calibrated, trained and dynamic networks, converted."""
    q, nn, found = torch.ao.quantization, torch.nn, {}
    rng = np.random.default_rng(0)

    def batch(*shape):
        return torch.from_numpy(rng.standard_normal(shape).astype("float32"))

    def note(name, model, *inputs):
        found[name] = [_tree(model), list(model.state_dict()), *_numbers(model(*inputs))]

    for backend in ("x86", "qnnpack"):
        net = make_net(torch).train()
        net(batch(4, 3, 8, 8))
        fused = q.fuse_modules(net.eval(), GROUPS)
        fused.qconfig = q.get_default_qconfig(backend)
        ready = q.prepare(fused)
        for _ in range(3):
            ready(batch(4, 3, 8, 8))
        x = batch(4, 3, 8, 8)
        note(backend, q.convert(ready), x)
        fused = q.fuse_modules_qat(make_net(torch).train(), GROUPS)
        fused.qconfig = q.get_default_qat_qconfig(backend)
        ready = q.prepare_qat(fused)
        optimizer = torch.optim.SGD(ready.parameters(), lr=0.05)
        for _ in range(3):
            loss = ready(batch(8, 3, 8, 8)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        note(f"{backend} trained", q.convert(ready.eval()), x)

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.fc = nn.Embedding(20, 8), nn.Linear(12, 5)
            self.lstm = nn.LSTM(8, 6, batch_first=True, bidirectional=True)

        def forward(self, words):
            return self.fc(self.lstm(self.e(words))[0])

    tagger, seeds = Tagger().eval(), np.random.default_rng(3)
    with torch.no_grad():
        for p in tagger.parameters():
            p.copy_(torch.from_numpy(seeds.standard_normal(tuple(p.shape)).astype("float32") * 0.5))
    words = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 19]])
    for dtype in ("qint8", "float16"):
        note(dtype, q.quantize_dynamic(tagger, {nn.LSTM, nn.Linear}, getattr(torch, dtype)), words)
    tagger.e.qconfig = q.float_qparams_weight_only_qconfig
    note("table", q.convert(q.prepare(tagger)), words)
    return found


def all_cases(torch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {f.__name__: f(torch) for f in (observers, fakes, learnable, flow, converted)}


if __name__ == "__main__":
    import torch

    print(json.dumps(all_cases(torch)))
