"""How fast flambeau is beside a package with the same names: ``python -m benchmarks --against torch``."""
