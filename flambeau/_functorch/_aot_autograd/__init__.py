"""Functions of PyTorch's compiler of forward and backward at once that packages call."""
