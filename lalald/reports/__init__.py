"""What the command line, the page and notifications show: one source for jobs, status, prices, advice and metrics."""
