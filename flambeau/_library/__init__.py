"""How `torch.library` defines operators in Python."""
