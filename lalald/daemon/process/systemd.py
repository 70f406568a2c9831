"""What systemd is told, and asks: READY, STATUS, WATCHDOG, RELOADING, STOPPING (sd_notify(3)). Without systemd nothing happens."""

from __future__ import annotations

import time
from collections.abc import Mapping

import sdnotify


class Systemd:
    """Speaks to the manager named by NOTIFY_SOCKET."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._notifier = sdnotify.SystemdNotifier() if environ.get("NOTIFY_SOCKET") else None
        self.watchdog_seconds = _watchdog_seconds(environ)
        self._status = ""

    def ready(self) -> None:
        self._tell("READY=1")

    def reloading(self) -> None:
        """The moment is told, as `Type=notify-reload` wants it; `ready` ends it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def alive(self) -> None:
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Shown by `systemctl status`; told only when it changed."""
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={text}")

    def _tell(self, message: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(message)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """How often the watchdog wants to be fed (WATCHDOG_USEC), or None where there is none."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) > 0 else None
