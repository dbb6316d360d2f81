"""The parts of `flambeau.utils.benchmark`."""
