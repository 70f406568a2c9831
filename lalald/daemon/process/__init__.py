"""The daemon as a process: lock, signals, standard streams, systemd, orphaned children, time zone; and the page's process."""
