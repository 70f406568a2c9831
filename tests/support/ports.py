"""Ports for servers that must know their port before they start."""

from __future__ import annotations

import random
import socket

_OUTGOING_FROM = 32768  # Linux gives outgoing connections ports from here on (ip_local_port_range)


def free_port() -> int:
    """A port of 127.0.0.1 that is free and that no outgoing connection can get before the server starts."""
    while True:
        port = random.SystemRandom().randrange(16384, _OUTGOING_FROM)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
