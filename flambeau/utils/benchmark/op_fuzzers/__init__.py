"""Ready-made fuzzers of operators."""
