from ._creation import make_tensor
