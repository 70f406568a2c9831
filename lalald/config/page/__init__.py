"""Where the page listens, and its secrets."""
