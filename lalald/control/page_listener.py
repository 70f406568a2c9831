"""The page's listening socket. A unix socket can be opened by lalald's user and group."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from lalald.config.page.listen_address import ListenAddress
from lalald.errors import DaemonError

_BACKLOG = 128
_MODE = 0o660
_HINTS = {
    errno.EADDRINUSE: "Another program listens there. Choose another port at web.listen.",
    errno.EADDRNOTAVAIL: "This machine does not have that address. 0.0.0.0 stands for all that it has.",
    errno.EACCES: "Ports below 1024 need rights that lalald does not have. Choose 8910.",
    errno.EAFNOSUPPORT: "This machine has no IPv6. Choose 0.0.0.0.",
}


def listen(address: ListenAddress) -> socket.socket:
    """Raises DaemonError, which says why not and what to do."""
    try:
        return _on_path(address.path) if address.is_unix else _on_port(address)
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "Choose another address at web.listen.")
        raise DaemonError(
            f"the page cannot listen on {address}: {os.strerror(error.errno or 0)}.", hint=hint
        ) from error


def _on_port(address: ListenAddress) -> socket.socket:
    family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
    listener = socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio turns Nagle off only where it is named
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.is_ipv6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address.is_everywhere else 1)
        listener.bind((address.host, address.port))
        return _listening(listener)
    except OSError:
        listener.close()
        raise


def _on_path(path: str) -> socket.socket:
    """Replace a socket that a crash has left, but never a file, nor a socket that a program listens on."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        if _is_left_over(path):
            with suppress(FileNotFoundError):
                os.unlink(path)
        os.fchmod(listener.fileno(), _MODE)  # the file takes its mode from the socket, less the umask
        listener.bind(path)
        os.chmod(path, _MODE, follow_symlinks=True)
        return _listening(listener)
    except OSError:
        listener.close()
        raise


def _is_left_over(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _listening(listener: socket.socket) -> socket.socket:
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def forget(address: ListenAddress) -> None:
    """After a unix socket was closed its file goes, too."""
    if address.is_unix:
        with suppress(OSError):
            Path(address.path).unlink()
