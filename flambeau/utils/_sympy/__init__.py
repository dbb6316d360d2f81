"""Numbers and ranges of sizes that PyTorch computes with, without an algebra system: sizes are numbers
here."""
