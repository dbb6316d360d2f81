"""``torch._functorch``: the parts of `flambeau.func` that packages reach by PyTorch's private names."""
