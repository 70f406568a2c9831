"""The daemon as a process: its lock, signals, standard streams, systemd, orphaned children, time zone."""
