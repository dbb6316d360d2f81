"""Which processors of a machine with several memories a process runs on."""
