"""What the page keeps in the store, and asks of it, beside what the command line does."""
