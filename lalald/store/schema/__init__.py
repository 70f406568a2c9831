"""The database's schema: version 1 and the steps from each version to the next."""
