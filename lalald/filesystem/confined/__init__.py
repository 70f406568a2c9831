"""Access files below a configured folder one path component at a time, and never through a symbolic link."""
