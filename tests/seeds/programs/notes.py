# ruff: noqa
import numpy as np
import torch

x_scalar = torch.empty(1)
x_vector = torch.empty(3)
x_matrix = torch.empty(2, 3)
x_more_dimensions = torch.empty(4, 5, 6)
print(x_scalar.shape, x_vector.shape, x_matrix.shape, x_more_dimensions.shape)
x_ones = torch.ones(3, 4, dtype=torch.float16)
x_random = torch.rand(3, 4, dtype=torch.double)
x_via_operator = x_ones + x_random
x_via_method = torch.add(x_ones, x_random)
print(x_via_operator.dtype, torch.equal(x_via_operator, x_via_method))
x_zeros = torch.zeros(1, 3, 4)
x = torch.tensor([3, 4, 5])
print(x[0].item())
x = torch.rand(8, 8)
y = x.view(-1, 16)
print(y.size())
z = x.view(32, 2)
print(z.size())
a = torch.rand(3, 4)
a_numpy = a.numpy()
print(type(a), type(a_numpy))
b = np.ones(4)
b_torch = torch.from_numpy(b)
print(type(b), type(b_torch))
if torch.cuda.is_available():
    print((torch.ones(4, device=torch.device("cuda")) + torch.rand(4).to("cuda")).to("cpu").numpy().shape)
x = torch.randn(3, requires_grad=True)
x.requires_grad_(False)
x.detach()
with torch.no_grad():
    y = x + 2
print(y.requires_grad)
torch.manual_seed(7)
a = torch.rand(3, requires_grad=True)
b = a + 2
c = b * b * 4
d = c.mean()
print(d)
d.backward()
print(a.grad)
weights = torch.ones(4, requires_grad=True)
for epoch in range(3):
    model_output = (weights * 3).sum()
    model_output.backward()
    print(weights.grad)
    weights.grad.zero_()
x = torch.tensor(1.0)
y = torch.tensor(2.0)
w = torch.tensor(1.0, requires_grad=True)
y_hat = w * x
loss = (y_hat - y) ** 2
print(loss)
loss.backward()
print(w.grad)
