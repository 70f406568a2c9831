"""Checks beyond the shape of the file: how keys, patterns, tracks and folders fit together."""
