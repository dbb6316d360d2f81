"""Modules that compute their forward again in the backward."""
