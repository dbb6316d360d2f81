"""What pipes of files use."""
