"""Secrets in files: where they are looked for, and how such a file is read."""
