"""Proxies on loopback whose every way leads to one port of this machine, whatever host is named."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from tests.support.raw_server import Talk


def proxying(port: int, asked: list[bytes]) -> Callable[[Talk], None]:
    """A proxy for CONNECT."""

    def script(talk: Talk) -> None:
        asked.append(talk.head())
        _pass_on(talk, port, "HTTP/1.1 200 Connection established\r\nX-Proxy: a\r\n\r\n")

    return script


def socks(port: int, asked: list[bytes]) -> Callable[[Talk], None]:
    """A SOCKS5 proxy (RFC 1928) without authentication."""

    def script(talk: Talk) -> None:
        assert talk.sock.recv(3) == b"\x05\x01\x00"
        talk.say(b"\x05\x00")
        request = talk.sock.recv(300)
        asked.append(request[5:-2])
        _pass_on(talk, port, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")

    return script


def _pass_on(talk: Talk, port: int, accepted: bytes | str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as further:
        talk.say(accepted)
        back = threading.Thread(target=_pump, args=(further, talk.sock), daemon=True)
        back.start()
        _pump(talk.sock, further)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # either end has gone
