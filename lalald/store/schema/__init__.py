"""The database's schema: version 1, and the migrations from each version to the next."""
