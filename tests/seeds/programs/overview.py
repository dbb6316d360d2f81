# ruff: noqa
import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd import Variable

torch.manual_seed(3)
z = torch.zeros(2, 3)
z = torch.ones(2, 2)
z = torch.ones(2, 2, dtype=torch.int)
print(z)
z = torch.ones(2, 2, dtype=torch.float16)
print(z.dtype, z.size())
u = torch.tensor([2.5, 0.1])
print(u)
x1 = torch.rand(2, 2)
x2 = torch.rand(2, 2)
x3 = x1 + x2
print(torch.equal(x3, torch.add(x1, x2)))
x2.add_(x1)
print(f"{x2[1, 1].item():.4f}")
c = np.ones(5)
d = torch.from_numpy(c)
print(d.shape, d.dtype, d.device)
new_t = torch.rand_like(d, dtype=torch.float)
print(torch.rand((3, 3)))
x = torch.rand(3, requires_grad=True)
y = x + 2
z = y * y * 2
z = z.mean()
z.backward()
print(x.grad)
z = (x + 2) * 2
v = torch.tensor([0.1, 1.0, 0.001], dtype=torch.float32)
z.backward(v)
print(x.grad)
weights = torch.ones(4, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.01)
(weights * 3).sum().backward()
optimizer.step()
optimizer.zero_grad()
print(weights, weights.grad)
print(torch.zeros((2, 3)).T.shape)


class SimpleCNN(torch.nn.Module):
    def __init__(self):
        super(SimpleCNN, self).__init__()
        self.conv1 = torch.nn.Conv2d(3, 18, kernel_size=3, stride=1, padding=1)
        self.pool = torch.nn.MaxPool2d(kernel_size=2, stride=2, padding=0)
        self.fc1 = torch.nn.Linear(18 * 16 * 16, 64)
        self.fc2 = torch.nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = self.pool(x)
        x = x.view(-1, 18 * 16 * 16)
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return x


print([f"{value:.4f}" for value in SimpleCNN()(Variable(torch.rand(1, 3, 32, 32)))[0].tolist()])


class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, i):
        result = i.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, grad_output):
        (result,) = ctx.saved_tensors
        return grad_output * result


t = torch.tensor([0.0, 1.0], requires_grad=True)
Exp.apply(t).sum().backward()
print(t.grad)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for i in range(4):  # gradients of two batches for one step
    (model(torch.rand(2, 3)).mean() / 2).backward()
    if i % 2:
        optimizer.step()
        optimizer.zero_grad()
print([f"{value:.4f}" for value in model.weight[0].tolist()])
