"""What the sandbox simulates, without a network: accounts, sources, tasks, minutes, tracks and links."""
