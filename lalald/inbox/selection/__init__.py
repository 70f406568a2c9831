"""Which files are processed, by their names and by the rules."""
