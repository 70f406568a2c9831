"""One verb per file. A stage does what its job owes and returns the outcome; the worker alone saves it."""
