# ruff: noqa
import torch
import torchvision
import torchvision.transforms as transforms

transform = transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
)
trainset = torchvision.datasets.FakeData(size=12, image_size=(3, 32, 32), transform=transform)
trainloader = torch.utils.data.DataLoader(trainset, batch_size=4, shuffle=True, num_workers=2)
for images, labels in trainloader:
    print(images.shape, labels.dtype, images.min().item() >= -1, images.max().item() <= 1)
print(trainset)
