"""Operators written in Python from other operators; see `flambeau.ops.registry`."""
