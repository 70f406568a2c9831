"""Connections for transfers: made, lent to one transfer at a time, and kept for the next to the same origin."""

from __future__ import annotations

import errno
import http.client
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from lalald.api import translate
from lalald.api.address import Origin, Proxy, proxy_for
from lalald.api.tls import Encrypted
from lalald.api.transfer import Transfer, TransferStopped
from lalald.api.wire import Deadlines, StaleError, Wire

_KEPT_AT_MOST = 16
_KEPT_SECONDS = 60.0  # servers close what idles longer, and a closed one costs a try

Ask = Callable[[Wire], http.client.HTTPResponse]


class Wires:
    """The connections of one client. `tls` is called once, when the first https origin is asked for."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], deadlines: Deadlines) -> None:
        self._tls = tls
        self._deadlines = deadlines
        self._kept: list[tuple[float, Wire]] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def ask(self, origin: Origin, transfer: Transfer, ask: Ask) -> tuple[Wire, http.client.HTTPResponse]:
        """Sends a request and gives its answer's head. A kept connection that proves closed is replaced by a fresh one.

        Raises:
            TransientError, TransferStopped
        """
        while (wire := self._take(origin)) is not None:
            wire.lend(transfer)
            try:
                return wire, ask(wire)
            except StaleError:
                self._forget(origin)
        wire = self._connect(origin, transfer)
        wire.lend(transfer)
        return wire, ask(wire)

    def give_back(self, wire: Wire, response: http.client.HTTPResponse) -> None:
        """The transfer is over; the connection is kept where it can be used again."""
        may_be_kept = wire.may_be_kept(response)
        wire.let_go()
        with self._lock:
            if may_be_kept and len(self._kept) < _KEPT_AT_MOST and not self._is_closed:
                self._kept.append((time.monotonic(), wire))
                return
        wire.close()

    def close(self) -> None:
        """Closes what is kept; transfers under way go on, and close theirs at their end."""
        with self._lock:
            self._is_closed = True
            kept, self._kept = self._kept, []
        for _, wire in kept:
            wire.close()

    def _take(self, origin: Origin) -> Wire | None:
        """The connection used last, since it is the likeliest to live."""
        now = time.monotonic()
        while True:
            with self._lock:
                place = next((i for i in reversed(range(len(self._kept))) if self._kept[i][1].origin == origin), None)
                if place is None:
                    return None
                kept_at, wire = self._kept.pop(place)
            if now - kept_at < _KEPT_SECONDS and wire.is_alive():
                wire.reused = True
                return wire
            wire.close()

    def _forget(self, origin: Origin) -> None:
        """Where one kept connection was closed, its sisters are too."""
        with self._lock:
            sisters = [wire for _, wire in self._kept if wire.origin == origin]
            self._kept = [(at, wire) for at, wire in self._kept if wire.origin != origin]
        for wire in sisters:
            wire.close()

    def _connect(self, origin: Origin, transfer: Transfer) -> Wire:
        tls = self._tls() if origin.scheme == "https" else None
        try:
            return Wire(_connected(origin, transfer, self._deadlines.connect_seconds, tls), origin, self._deadlines)
        except translate.FOREIGN as error:
            transfer.detach()
            transfer.go_on()
            raise translate.lost(error, origin.host, sent=False) from error


def _connected(
    origin: Origin, transfer: Transfer, within_seconds: float, tls: ssl.SSLContext | None
) -> socket.socket | Encrypted:
    deadline = time.monotonic() + within_seconds
    proxy = proxy_for(origin)
    host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
    connection = _dialled(_resolved(host, port, transfer, deadline), transfer, deadline)
    try:
        if proxy:
            _tunnel(connection, proxy, origin)
        if not tls:
            return connection
        encrypted = Encrypted(connection, tls, origin.host)
        encrypted.shake_hands(deadline)
    except BaseException:
        transfer.detach()
        connection.close()
        raise
    return encrypted


def _resolved(host: str, port: int, transfer: Transfer, deadline: float) -> list[tuple[Any, ...]]:
    """On a thread of its own, for the system's resolver knows neither deadline nor order to stop."""
    answers: queue.SimpleQueue[list[tuple[Any, ...]] | OSError | None] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except OSError as error:
            answers.put(error)

    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        pass  # a name, not a number
    transfer.attach(partial(answers.put, None))
    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise TimeoutError("its name was not resolved in time") from None
    if answer is None:
        raise TransferStopped
    if isinstance(answer, OSError):
        try:
            raise answer
        finally:
            del answer  # with its traceback it would keep itself, and all that its callers hold
    return answer


def _dialled(addresses: list[tuple[Any, ...]], transfer: Transfer, deadline: float) -> socket.socket:
    """Each address in turn; one that is silent leaves the others their share of the time."""
    for place, (family, kind, protocol, _, address) in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - place)
        connection = socket.socket(family, kind, protocol)
        try:
            transfer.attach(partial(_cut, connection))
            connection.settimeout(max(0.001, share))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            return connection
        except BaseException as error:
            transfer.detach()
            connection.close()
            if not isinstance(error, OSError) or transfer.stop.is_set() or place == len(addresses) - 1:
                raise
    raise OSError("it has no address")


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # not connected: then nothing but the connecting itself waits on it
        connection.shutdown(socket.SHUT_RDWR)


def _tunnel(connection: socket.socket, proxy: Proxy, origin: Origin) -> None:
    """Asks the proxy for a way through. What it says is no answer of the service."""
    place = f"[{origin.host}]:{origin.port}" if ":" in origin.host else f"{origin.host}:{origin.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    response = http.client.HTTPResponse(connection, method="CONNECT")
    try:
        response.begin()
        if response.status != 200:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"the proxy {proxy.host} answered HTTP {response.status}")
    finally:
        response.close()
