# ruff: noqa
import numpy as np
import torch

data = [[1, 2], [3, 4]]
np_array = np.array(data)
tensor_array = torch.from_numpy(np_array)
np.multiply(np_array, 2, out=np_array)
print(f"Numpy array:{np_array}")
print(f"Tensor array:{tensor_array}")
x_tensor_from_data = torch.tensor(data)
x_tensor_from_numpy = torch.from_numpy(np_array)
x_new_tensor = torch.rand_like(x_tensor_from_data, dtype=torch.float)
shape = (2, 3)
x_new_tensor_2 = torch.ones(shape)
print(f"{x_new_tensor_2.shape}")
print(f"{x_new_tensor_2.dtype}")
print(f"{x_new_tensor_2.device}")
tensor = torch.arange(4.0).reshape(2, 2)
print(torch.cat([tensor, tensor], dim=1))
y1 = tensor @ tensor.T
y2 = tensor.matmul(tensor.T)
y3 = torch.rand_like(tensor)
torch.matmul(tensor, tensor.T, out=y3)
print(y1, torch.equal(y1, y2), torch.equal(y2, y3))
z1 = tensor * tensor
z2 = tensor.mul(tensor)
z3 = torch.rand_like(tensor)
torch.mul(tensor, tensor, out=z3)
print(z1, torch.equal(z1, z3))
sum_of_values = torch.tensor(data).sum()
sum_of_values_python_variable = sum_of_values.item()
print(sum_of_values.dtype, type(sum_of_values_python_variable))
tensor.add_(5)
tensor.t_()
print(tensor)
y = 3
print(torch.zeros(10, dtype=torch.float).scatter_(dim=0, index=torch.tensor(y), value=1))
print(torch.nn.functional.one_hot(torch.tensor([1, 3]), num_classes=5))
