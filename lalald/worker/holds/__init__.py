"""End holds when their cause is gone: folders, the license key, minutes."""
