"""What was charged, over time."""
