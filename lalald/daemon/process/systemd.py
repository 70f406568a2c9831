"""Notifications to systemd: READY, STATUS, WATCHDOG, RELOADING, STOPPING (sd_notify(3)). Without systemd they do nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping

import sdnotify


class Systemd:
    """Sends to the service manager that NOTIFY_SOCKET names."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._notifier = sdnotify.SystemdNotifier() if environ.get("NOTIFY_SOCKET") else None
        self.watchdog_seconds = _watchdog_seconds(environ)
        self._status = ""

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        """With the time, as `Type=notify-reload` requires; `ready` ends the reload."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """The line that `systemctl status` shows; sent only when it changed."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def _send(self, message: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(message)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """How often the watchdog must be notified (WATCHDOG_USEC); None if there is no watchdog."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) > 0 else None
