"""Where PyTorch's compiler keeps its files."""
