"""Where PyTorch has the nested tensors of ragged layout."""
