# ruff: noqa
import torch

torch.manual_seed(0)
x = torch.ones(2, 2)
y = torch.ones(2, 1)
w = torch.randn(2, 1, requires_grad=True)
b = torch.randn(1, requires_grad=True)
p = torch.sigmoid(torch.mm(x, w) + b)
loss = -y * torch.log(p) - (1 - y) * torch.log(1 - p)
cost = loss.mean()
cost.backward()
print(w.grad)
print(b.grad)
