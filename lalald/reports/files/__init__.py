"""What happens to a file, and why: one answer for the command line and the page."""
