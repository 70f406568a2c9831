"""The routes of the page, a subject in each module."""
