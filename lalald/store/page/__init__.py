"""Tables and queries that only the page uses."""
