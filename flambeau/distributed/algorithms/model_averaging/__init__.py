"""Averaging parameters of models, every few steps."""
