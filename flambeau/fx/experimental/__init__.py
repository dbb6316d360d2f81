"""Transformations of traced models."""
