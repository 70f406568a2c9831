"""Why jobs fail, what a user can do about it, and what an unexpected exception means."""
