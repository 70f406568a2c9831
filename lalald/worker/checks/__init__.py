"""`/check/`: `check_loop` asks for running tasks, `check_queue` decides which of them are in the next request."""
