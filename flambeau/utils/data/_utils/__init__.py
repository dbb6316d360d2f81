"""The parts of the DataLoader: reading samples, making batches of them, worker processes, shared memory."""
