"""Quantization of traced networks: fused, observed, converted node by node."""
