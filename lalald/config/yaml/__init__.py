"""Read YAML: the text of the file, its data with line numbers, and syntax errors in plain words."""
