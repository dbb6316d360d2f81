# ruff: noqa
import os
import tempfile

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
print(f"Using {device} device")


class NeuralNetwork(nn.Module):
    def __init__(self):
        super(NeuralNetwork, self).__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10), nn.ReLU()
        )

    def forward(self, x):
        x = self.flatten(x)
        logits = self.linear_relu_stack(x)
        return logits


model = NeuralNetwork().to(device)
X = torch.rand(1, 28, 28, device=device)
logits = model(X)
pred_probab = nn.Softmax(dim=1)(logits)
y_pred = pred_probab.argmax(1)
print(f"Predicted class: {y_pred}")
input_image = torch.rand(3, 28, 28)
print(input_image.size())
flatten = nn.Flatten()
flat_image = flatten(input_image)
print(flat_image.size())
layer1 = nn.Linear(in_features=28 * 28, out_features=512)
hidden1 = layer1(flat_image)
print(hidden1.size())
relu_activation = nn.ReLU()
hidden1 = relu_activation(hidden1)
nn_seq_modules = nn.Sequential(flatten, layer1, relu_activation, nn.Linear(512, 10))
print([f"{value:.3f}" for value in nn.Softmax(dim=1)(nn_seq_modules(input_image))[0].tolist()])
for name, param in model.named_parameters():
    print(f"Layer: {name} | Size: {param.size()}")

x = torch.ones(5)
y = torch.zeros(3)
w = torch.randn(5, 3, requires_grad=True)
b = torch.randn(3, requires_grad=True)
z = torch.matmul(x, w) + b
loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
loss.backward()
print(b.grad)
print(w.grad)
with torch.no_grad():
    z = torch.matmul(x, w) + b
print(z.requires_grad, (torch.matmul(x, w) + b).detach().requires_grad)

images, labels = torch.rand(128, 1, 28, 28), torch.randint(0, 10, (128,))
train_dataloader = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def train_loop(dataloader, model, loss_fn, optimizer):
    for X, y in dataloader:
        pred = model(X)
        loss = loss_fn(pred, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"Loss: {loss.item():.3f}")


def test_loop(dataloader, model, loss_fn):
    size = len(dataloader.dataset)
    test_loss, correct = 0, 0
    with torch.no_grad():
        for X, y in dataloader:
            pred = model(X)
            test_loss += loss_fn(pred, y).item()
            correct += (pred.argmax(dim=1) == y).type(torch.float).sum().item()
    print(f"Test Accuracy {correct / size * 100:.1f}; Test Data Average Loss = {test_loss / size:.4f}")


for i in range(2):
    print(f"Epoch {i + 1}\n ----------------------------")
    train_loop(train_dataloader, model, loss_fn, optimizer)
    test_loop(train_dataloader, model, loss_fn)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "modelname.pth")
    torch.save(model.state_dict(), path)
    again = NeuralNetwork()
    print(again.load_state_dict(torch.load(path)))
again.eval()
print(torch.equal(again(X), model(X)))
