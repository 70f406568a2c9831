"""Faults of the sandbox: how they are written down, which requests they affect, and what they do to these."""
