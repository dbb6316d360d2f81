"""Backends that tell about graphs."""
