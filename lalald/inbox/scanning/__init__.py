"""How changes in an inbox are found: native watching, polling, and the walk over its folders."""
