"""Reuse the results of earlier jobs with the same bytes and presets."""
