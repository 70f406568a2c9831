"""lalald watches folders and carries what is dropped there through LALAL.AI: upload, split, check, download, delete."""

__version__ = "0.1.0"
