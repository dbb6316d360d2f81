# ruff: noqa
import torch
import torch.nn as nn

torch.manual_seed(0)
X = torch.tensor([[1], [2], [3], [4]], dtype=torch.float32)
Y = torch.tensor([[2], [4], [6], [8]], dtype=torch.float32)
X_test = torch.tensor([5], dtype=torch.float32)
n_samples, n_features = X.shape


class LinearRegression(nn.Module):
    def __init__(self, input_dim, output_dim) -> None:
        super().__init__()
        self.lin = nn.Linear(input_dim, output_dim)

    def forward(self, x):
        return self.lin(x)


model = LinearRegression(input_dim=n_features, output_dim=n_features)
print(f"Prediction before training: f(5) = {model(X_test).item(): .3f} ")
loss = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for epoch in range(100):
    y_pred = model(X)
    l = loss(Y, y_pred)
    l.backward()
    optimizer.step()
    optimizer.zero_grad()
    [w, b] = model.parameters()
    if epoch % 10 == 0:
        print(f"epoch {epoch}, w = {w[0][0].item():.4f}, loss = {l:.4f}")
print(f"Prediction after training f(5) = {model(X_test).item(): .3f} ")
