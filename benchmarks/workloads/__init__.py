"""The workloads, one file a group."""
