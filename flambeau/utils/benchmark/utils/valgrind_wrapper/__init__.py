"""Counts of instructions, by function."""
