"""A file system (FUSE) that shows a folder in another place, and misbehaves when its standard input says so: see `fuse_mount.py`.

    python fuse_server.py FOLDER MOUNT_POINT TYPE INODES_FROM

Inode numbers are those of the folder's own files plus INODES_FROM.
It says `mounted`, or why it cannot; then each line that it reads is `hold`, `well` or an errno, with the operations that are meant,
and is answered `heard`. `also` before it adds to what is wrong already; `lie` reports as done what is not done. It ends with its input.

Beside the operations of FUSE there are `replace`, a rename over a file that is there, and `chmod`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

_ANSWER = struct.Struct("=IiQ")  # <linux/fuse.h>: of an answer, its length, its error, its request
_HEADER = struct.Struct("=IIQQIIII")  # of a request: length, operation, number, node, uid, gid, pid, nothing
_ATTRIBUTES = struct.Struct("=6Q10I")
_ENTRY, _ATTRIBUTES_FOR = struct.Struct("=4Q2I"), struct.Struct("=QII")
_OPENED, _WRITTEN = struct.Struct("=QIi"), struct.Struct("=II")
_INIT, _STATFS = struct.Struct("=4I2H2I2H8I"), struct.Struct("=5Q4I6I")
_READ, _SET = struct.Struct("=QQIIQII"), struct.Struct("=IIQQQqqq8I")
_BUFFER_BYTES, _MOST_BYTES = 1 << 20, 128 << 10
_TO_MODE, _TO_UID, _TO_GID, _TO_SIZE, _TO_ATIME, _TO_MTIME = (1 << bit for bit in range(6))
_TO_NOW = 1 << 7 | 1 << 8
_UNSUITED = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND  # the kernel sees to these itself
_LIBC = ctypes.CDLL(None, use_errno=True)
_OPERATIONS = {
    1: "lookup", 2: "forget", 3: "getattr", 4: "setattr", 5: "readlink", 6: "symlink", 8: "mknod", 9: "mkdir", 10: "unlink",
    11: "rmdir", 12: "rename", 13: "link", 14: "open", 15: "read", 16: "write", 17: "statfs", 18: "release", 20: "fsync", 25: "flush",
    26: "init", 27: "opendir", 28: "readdir", 29: "releasedir", 30: "fsyncdir", 35: "create", 36: "interrupt", 38: "destroy",
    42: "batch_forget", 45: "rename2", 51: "tmpfile",
}  # fmt: skip
# Of a flush the kernel hears once that nobody here knows it: else whoever closes a file would wait, and so would a program that is
# started meanwhile, which closes what it inherits.
_ALWAYS = {"forget", "init", "interrupt", "destroy", "batch_forget", "release", "releasedir", "flush"}


@dataclass
class _Node:
    """A file or folder that the kernel knows, whatever its name is by now."""

    descriptor: int
    known: int = 1  # to the kernel, so often

    @property
    def path(self) -> str:
        return f"/proc/self/fd/{self.descriptor}"


@dataclass
class _Request:
    operation: str
    number: int
    node: int
    body: bytes


@dataclass
class _Mood:
    """What is not answered as it should be: those operations, or all where there are none."""

    refusal: int | None = None  # None: it waits
    operations: frozenset[str] = frozenset()
    lies: bool = False

    def meets(self, names: set[str]) -> bool:
        return names.isdisjoint(_ALWAYS) and (not self.operations or not names.isdisjoint(self.operations))


@dataclass
class _Server:
    device: int
    nodes: dict[int, _Node]
    inodes_from: int = 0
    moods: list[_Mood] = field(default_factory=list)
    waiting: list[_Request] = field(default_factory=list)

    def serve(self) -> None:
        """Until the mount is gone, or whoever started us."""
        words = sys.stdin.buffer
        while True:
            ready, _, _ = select.select([self.device, words], [], [])
            if words in ready:
                if not (line := words.readline()):
                    return
                self._change(line.decode().split())
            if self.device in ready:
                try:
                    self._take(os.read(self.device, _BUFFER_BYTES))
                except OSError as error:
                    if error.errno == errno.ENODEV:
                        return
                    if error.errno not in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                        raise

    def _change(self, words: list[str]) -> None:
        moods = []
        if words[0] == "also":
            moods, words = self.moods, words[1:]
        how, *operations = words
        refusal = int(how) if how.isdigit() else None
        if how != "well":
            moods.append(_Mood(refusal, frozenset(operations), lies=how == "lie"))
        self.moods = moods
        waiting, self.waiting = self.waiting, []
        for request in waiting:
            self._meet(request)
        _say("heard")

    def _take(self, request: bytes) -> None:
        _, code, number, node, *_ = _HEADER.unpack_from(request)
        self._meet(_Request(_OPERATIONS.get(code, str(code)), number, node, request[_HEADER.size :]))

    def _meet(self, request: _Request) -> None:
        if request.operation == "interrupt":
            self._give_up(*struct.unpack_from("=Q", request.body))
            return
        names = self._names_of(request)
        mood = next((mood for mood in self.moods if mood.meets(names)), None)
        if mood is None:
            self._do(request)
        elif mood.lies:
            self._reply(request.number)
        elif mood.refusal is None:
            self.waiting.append(request)
        else:
            self._reply(request.number, error=mood.refusal)

    def _names_of(self, request: _Request) -> set[str]:
        names = {request.operation}
        if request.operation in ("rename", "rename2"):
            there = self.nodes[struct.unpack_from("=Q", request.body)[0]].path
            _, new = _names(request.body[8 if request.operation == "rename" else 16 :])
            if os.path.lexists(os.path.join(os.fsencode(there), new)):
                names.add("replace")
        if request.operation == "setattr" and struct.unpack_from("=I", request.body)[0] & _TO_MODE:
            names.add("chmod")
        return names

    def _give_up(self, number: int) -> None:
        """The caller is being killed."""
        if any(request.number == number for request in self.waiting):
            self.waiting = [request for request in self.waiting if request.number != number]
            self._reply(number, error=errno.EINTR)

    def _do(self, request: _Request) -> None:
        function: Callable[[_Request], bytes | None] | None = getattr(self, f"_{request.operation}", None)
        if function is None:
            self._reply(request.number, error=errno.ENOSYS)
            return
        try:
            content = function(request)
        except OSError as error:
            self._reply(request.number, error=error.errno or errno.EIO)
            return
        if content is not None:
            self._reply(request.number, content)

    def _reply(self, number: int, content: bytes = b"", *, error: int = 0) -> None:
        with suppress(FileNotFoundError):  # the caller is gone
            os.write(self.device, _ANSWER.pack(_ANSWER.size + len(content), -error, number) + content)

    # the nodes

    def _forget(self, request: _Request) -> None:
        self._known_less(request.node, *struct.unpack_from("=Q", request.body))

    def _batch_forget(self, request: _Request) -> None:
        for node, times in struct.iter_unpack("=QQ", request.body[8:]):
            self._known_less(node, times)

    def _known_less(self, number: int, times: int) -> None:
        node = self.nodes[number]
        node.known -= times
        if node.known <= 0 and number != 1:
            os.close(self.nodes.pop(number).descriptor)

    def _folder(self, request: _Request) -> int:
        return self.nodes[request.node].descriptor

    def _path(self, request: _Request) -> str:
        return self.nodes[request.node].path

    def _entry(self, folder: int, name: bytes) -> bytes:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        facts = os.fstat(descriptor)
        if (
            node := self.nodes.get(facts.st_ino)
        ) is None:  # one file system lies behind: its inode numbers will do, but for our 1
            self.nodes[facts.st_ino] = _Node(descriptor)
        else:
            os.close(descriptor)
            node.known += 1
        return _ENTRY.pack(facts.st_ino, 0, 0, 0, 0, 0) + _attributes(facts, self.inodes_from)

    def _lookup(self, request: _Request) -> bytes:
        return self._entry(self._folder(request), _names(request.body)[0])

    def _getattr(self, request: _Request) -> bytes:
        return _ATTRIBUTES_FOR.pack(0, 0, 0) + _attributes(os.fstat(self._folder(request)), self.inodes_from)

    def _setattr(self, request: _Request) -> bytes:
        valid, _, _, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = _SET.unpack_from(
            request.body
        )
        path, facts = self._path(request), os.fstat(self._folder(request))
        if valid & _TO_MODE:
            os.chmod(path, stat.S_IMODE(mode))
        if valid & (_TO_UID | _TO_GID):
            os.chown(path, uid if valid & _TO_UID else -1, gid if valid & _TO_GID else -1)
        if valid & _TO_SIZE:
            os.truncate(path, size)
        if valid & _TO_NOW:
            os.utime(path)
        elif valid & (_TO_ATIME | _TO_MTIME):
            times = (
                atime * 10**9 + atime_ns if valid & _TO_ATIME else facts.st_atime_ns,
                mtime * 10**9 + mtime_ns if valid & _TO_MTIME else facts.st_mtime_ns,
            )
            os.utime(path, ns=times)
        return self._getattr(request)

    # names

    def _readlink(self, request: _Request) -> bytes:
        return os.fsencode(os.readlink("", dir_fd=self._folder(request)))

    def _symlink(self, request: _Request) -> bytes:
        name, target = _names(request.body)
        os.symlink(target, name, dir_fd=self._folder(request))
        return self._entry(self._folder(request), name)

    def _mknod(self, request: _Request) -> bytes:
        mode, device = struct.unpack_from("=II", request.body)
        (name,) = _names(request.body[16:])
        os.mknod(name, mode, device, dir_fd=self._folder(request))
        return self._entry(self._folder(request), name)

    def _mkdir(self, request: _Request) -> bytes:
        (mode,) = struct.unpack_from("=I", request.body)
        (name,) = _names(request.body[8:])
        os.mkdir(name, mode, dir_fd=self._folder(request))
        return self._entry(self._folder(request), name)

    def _unlink(self, request: _Request) -> bytes:
        os.unlink(_names(request.body)[0], dir_fd=self._folder(request))
        return b""

    def _rmdir(self, request: _Request) -> bytes:
        os.rmdir(_names(request.body)[0], dir_fd=self._folder(request))
        return b""

    def _rename(self, request: _Request) -> bytes:
        return self._renamed(request, 0, request.body[8:])

    def _rename2(self, request: _Request) -> bytes:
        return self._renamed(request, struct.unpack_from("=QI", request.body)[1], request.body[16:])

    def _renamed(self, request: _Request, flags: int, names: bytes) -> bytes:
        there = self.nodes[struct.unpack_from("=Q", request.body)[0]].descriptor
        old, new = _names(names)
        if _LIBC.renameat2(self._folder(request), old, there, new, flags) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return b""

    def _link(self, request: _Request) -> bytes:
        (node,) = struct.unpack_from("=Q", request.body)
        (name,) = _names(request.body[8:])
        os.link(self.nodes[node].path, name, dst_dir_fd=self._folder(request), follow_symlinks=True)
        return self._entry(self._folder(request), name)

    # contents

    def _open(self, request: _Request) -> bytes:
        (flags,) = struct.unpack_from("=I", request.body)
        return _OPENED.pack(os.open(self._path(request), flags & ~_UNSUITED | os.O_CLOEXEC), 0, 0)

    _opendir = _open

    def _create(self, request: _Request) -> bytes:
        flags, mode = struct.unpack_from("=II", request.body)
        (name,) = _names(request.body[16:])
        flags = flags & ~os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(name, flags, mode, dir_fd=self._folder(request))
        return self._entry(self._folder(request), name) + _OPENED.pack(descriptor, 0, 0)

    def _read(self, request: _Request) -> bytes:
        handle, offset, size, *_ = _READ.unpack_from(request.body)
        return os.pread(handle, size, offset)

    def _write(self, request: _Request) -> bytes:
        handle, offset, size, *_ = _READ.unpack_from(request.body)
        return _WRITTEN.pack(os.pwrite(handle, request.body[_READ.size : _READ.size + size], offset), 0)

    def _fsync(self, request: _Request) -> bytes:
        os.fsync(*struct.unpack_from("=Q", request.body))
        return b""

    _fsyncdir = _fsync

    def _release(self, request: _Request) -> bytes:
        os.close(*struct.unpack_from("=Q", request.body))
        return b""

    _releasedir = _release

    def _readdir(self, request: _Request) -> bytes:
        handle, offset, size, *_ = _READ.unpack_from(request.body)
        found = b""
        for place, entry in enumerate(_listed(handle)[offset:], offset + 1):
            if len(found) + len(entry(place)) > size:
                break
            found += entry(place)
        return found

    def _statfs(self, request: _Request) -> bytes:
        facts = os.statvfs(self._path(request))
        counts = (facts.f_blocks, facts.f_bfree, facts.f_bavail, facts.f_files, facts.f_ffree)
        return _STATFS.pack(*counts, facts.f_bsize, facts.f_namemax, facts.f_frsize, *[0] * 7)

    def _init(self, request: _Request) -> bytes:
        _, _, readahead, _ = struct.unpack_from("=4I", request.body)
        return _INIT.pack(7, 31, readahead, 0, 12, 10, _MOST_BYTES, 1, 0, 0, *[0] * 8)


def _names(body: bytes) -> list[bytes]:
    return body.split(b"\0")[:-1]


def _attributes(facts: os.stat_result, inodes_from: int) -> bytes:
    times = [facts.st_atime_ns, facts.st_mtime_ns, facts.st_ctime_ns]
    seconds, rest = [when // 10**9 % 2**64 for when in times], [when % 10**9 for when in times]
    kind = (facts.st_mode, facts.st_nlink, facts.st_uid, facts.st_gid, facts.st_rdev, facts.st_blksize, 0)
    return _ATTRIBUTES.pack(
        (facts.st_ino + inodes_from) % 2**64, facts.st_size, facts.st_blocks, *seconds, *rest, *kind
    )


def _listed(handle: int) -> list[Callable[[int], bytes]]:
    def entry(inode: int, name: bytes) -> Callable[[int], bytes]:
        padded = name + bytes(-len(name) % 8)
        return lambda place: struct.pack("=QQII", inode, place, len(name), 0) + padded

    os.lseek(handle, 0, os.SEEK_SET)
    with os.scandir(handle) as entries:
        return [entry(1, b"."), entry(1, b".."), *(entry(e.inode(), os.fsencode(e.name)) for e in entries)]


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main(far: str, point: str, kind: str, inodes_from: str) -> None:
    os.umask(0)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each file that the kernel knows is one
    try:
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        words = f"fd={device},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
        if _LIBC.mount(b"share", os.fsencode(point), kind.encode(), 0, words.encode()) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    except OSError as error:
        _say(str(error.strerror))
        return
    _say("mounted")
    _Server(device, {1: _Node(os.open(far, os.O_PATH))}, int(inodes_from)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
