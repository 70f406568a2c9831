"""Run one program, limit its time, and end all that it has started. This is a process of its own, started by `processes`.

What loses its parent becomes a child of this process, whatever session it moved to, so nothing that the program starts outlives
it. All of it ends at once when the daemon closes its side of the pipe, or is killed. One runs beside each command, so it starts
in a third of the time that `typing` and `contextlib` would take to load.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

CONTROL = 0  # the descriptor: a socket of the daemon
GRACE_SECONDS = 2.0  # between SIGTERM and SIGKILL
END_SECONDS = 1.0  # for the kernel to end what was killed
KEPT_OUTPUT_BYTES = 4096  # the last ones
_LOOK_SECONDS = 0.02
_PIPE_BYTES = 1 << 16
_LONGEST_POLL_SECONDS = 3600.0  # poll(2) counts milliseconds in 32 bits
_OOM_SCORE = "500"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_OWN_SIGNALS = (signal.SIGTERM, signal.SIGCHLD)
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def main() -> NoReturn:
    """Read a request, answer it, end."""
    _close_inherited()
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(_OOM_SCORE)  # where memory runs out, the daemon is not the first to go
    except OSError:
        pass
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    words, environ, given, seconds, with_errors = marshal.loads(_received())  # noqa: S302 - from the daemon
    try:
        answer: int | tuple[int | None, bytes] | None = _Program(words, environ, given, with_errors=with_errors).run(
            seconds
        )
    except OSError as error:
        answer = error.errno
    try:
        os.write(CONTROL, marshal.dumps(answer))
    except OSError:
        pass  # the daemon is gone
    os._exit(0)


def _received() -> bytes:
    """Its length in 8 bytes, then the request. Ends the process where the daemon is gone."""
    got = b""
    while len(got) < 8 or len(got) < 8 + int.from_bytes(got[:8], "big"):
        if not (more := os.read(CONTROL, _PIPE_BYTES)):
            os._exit(0)
        got += more
    return got[8:]


class _Program:
    """Raises OSError where the program cannot be started."""

    def __init__(self, words: list[bytes], environ: dict[bytes, bytes], given: bytes, *, with_errors: bool) -> None:
        self._given = memoryview(given)
        self._said = b""
        self._code: int | None = None
        self._has_children = True
        self._is_asked_to_end = False
        self._awake = _wakes_at_signals(self._ask_to_end)
        theirs_in, self._input = os.pipe()
        self._output, theirs_out = os.pipe()
        self._pid = _started(words, environ, (theirs_in, theirs_out), with_errors=with_errors)
        os.close(theirs_in)
        os.close(theirs_out)
        self._poll = select.poll()
        for descriptor, events in (
            (CONTROL, select.POLLIN),
            (self._awake, select.POLLIN),
            (self._output, select.POLLIN),
        ):
            self._poll.register(descriptor, events)
        os.set_blocking(self._input, False)
        self._poll.register(self._input, select.POLLOUT)

    def run(self, seconds: float) -> tuple[int | None, bytes]:
        """Its exit code, negative for a signal, None where it was killed; and the last of its output."""
        is_over = self._wait(seconds)
        if not is_over and not self._is_asked_to_end:
            self._signal_all(signal.SIGTERM)
            self._wait(GRACE_SECONDS)
        self._end_all()
        return self._code if is_over or self._is_asked_to_end else None, self._said

    def _ask_to_end(self) -> None:
        self._is_asked_to_end = True

    def _wait(self, seconds: float) -> bool:
        """Whether the program has ended within this time; a daemon that closes its side is not waited for."""
        deadline = time.monotonic() + seconds
        while self._code is None and not self._is_asked_to_end and (left := deadline - time.monotonic()) > 0:
            self._turn(left)
        return self._code is not None

    def _end_all(self) -> None:
        """Kill until there is no child, and read what was written. A process in an uninterruptible call is left to the kernel."""
        deadline = time.monotonic() + END_SECONDS
        while self._has_children and time.monotonic() < deadline:
            self._signal_all(signal.SIGKILL)
            self._turn(_LOOK_SECONDS)
        while self._output >= 0 and time.monotonic() < deadline and self._turn(_LOOK_SECONDS):
            pass

    def _turn(self, seconds: float) -> bool:
        """Wait for something to happen, and handle it. Whether anything did."""
        ready = self._poll.poll(min(seconds, _LONGEST_POLL_SECONDS) * 1000)
        for descriptor, _ in ready:
            if descriptor == self._input:
                self._give()
            elif descriptor == self._output:
                self._read()
            elif descriptor == self._awake:
                os.read(self._awake, _PIPE_BYTES)
            else:
                self._poll.unregister(CONTROL)  # the daemon says nothing more: it has closed its side
                self._is_asked_to_end = True
        self._reap()
        return bool(ready)

    def _give(self) -> None:
        """A program need not read what it is given: what it leaves is thrown away at its end."""
        try:
            self._given = self._given[os.write(self._input, self._given[:_PIPE_BYTES]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._given = self._given[:0]
        if not self._given:
            self._poll.unregister(self._input)
            os.close(self._input)

    def _read(self) -> None:
        if data := os.read(self._output, _PIPE_BYTES):
            self._said = (self._said + data)[-KEPT_OUTPUT_BYTES:]
            return
        self._poll.unregister(self._output)
        os.close(self._output)
        self._output = -1

    def _reap(self) -> None:
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._pid:
                    self._code = os.waitstatus_to_exitcode(ended[1])
        except ChildProcessError:
            self._has_children = False

    def _signal_all(self, number: int) -> None:
        for pid in _descendants():
            try:
                os.kill(pid, number)
            except OSError:
                pass  # it has ended, or is another user's


def _close_inherited() -> None:
    """What a library of the daemon may have left open for its children."""
    for number in [int(name) for name in os.listdir("/proc/self/fd")]:
        if number > 2:
            try:
                os.close(number)
            except OSError:
                pass  # the one that listed them


def _wakes_at_signals(ask_to_end: Callable[[], None]) -> int:
    """A descriptor that can be read after a signal: a child has ended, or this process is to end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: ask_to_end())
    return reading


def _started(words: list[bytes], environ: dict[bytes, bytes], pipes: tuple[int, int], *, with_errors: bool) -> int:
    """The process of the program, in a session of its own. Raises OSError."""
    failure, theirs = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            _become(words, environ, pipes, with_errors=with_errors)
        except OSError as error:
            os.write(theirs, bytes((error.errno or 0,)))
        finally:
            os._exit(127)
    os.close(theirs)
    code = os.read(failure, 1)
    os.close(failure)
    if code:
        os.waitpid(pid, 0)
        raise OSError(code[0], os.strerror(code[0]))
    return pid


def _become(words: list[bytes], environ: dict[bytes, bytes], pipes: tuple[int, int], *, with_errors: bool) -> NoReturn:
    """In the new process; its other descriptors close at exec."""
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (*_OWN_SIGNALS, *_IGNORED_BY_PYTHON):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(pipes[0], 0)
    os.dup2(pipes[1], 1)
    if with_errors:
        os.dup2(1, 2)
    os.execve(words[0], words, environ)  # noqa: S606 - a shell is what a command must not have


def _descendants() -> list[int]:
    """Every process below this one. proc_pid_stat(5): state and parent follow the name."""
    children: dict[int, list[int]] = {}
    for pid, parent in _processes():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(os.getpid(), ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def _processes() -> Iterator[tuple[int, int]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue  # it has ended
        if state != b"Z":
            yield int(name), int(parent)


def _prctl(option: int, value: int) -> None:
    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (AttributeError, OSError):
        pass  # no Linux: what leaves its session then outlives the command
