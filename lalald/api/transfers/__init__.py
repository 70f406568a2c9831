"""Uploads and downloads: streamed in constant memory, hashed on the way, resumable, with stops that work at any byte."""
