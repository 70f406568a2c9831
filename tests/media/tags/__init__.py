"""Tags of sources and results."""
