"""Handle the numbers that identify a file: any 64-bit time or inode number that a file system reports."""

from __future__ import annotations

_HALF, _WHOLE = 2**63, 2**64
_COARSE_CLOCK_NS = 2_000_000_000  # FAT keeps times to two seconds
# The range that every file system can store: FAT begins in 1980, old ext ends in 2038.
_KEPT_FROM_NS, _KEPT_UNTIL_NS = 315_619_200 * 10**9, (2**31 - 1) * 10**9


def int64(number: int) -> int:
    """The number folded to signed 64 bits, as SQLite stores it: equal numbers give equal results.

    An mtime after 2262 and inode numbers of mergerfs and rclone need 65 bits.
    """
    return number if -_HALF <= number < _HALF else (number + _HALF) % _WHOLE - _HALF


def is_same_time(found_ns: int, expected_ns: int) -> bool:
    """Whether two mtimes are the same within what file systems store: a copy has the time in its own file system's precision.

    A time outside a file system's range is cut off there, so two such times count as the same.
    """
    if abs(int64(found_ns - expected_ns)) <= _COARSE_CLOCK_NS:
        return True
    return _may_be_cut_off(found_ns) and _may_be_cut_off(expected_ns)


def _may_be_cut_off(mtime_ns: int) -> bool:
    return not _KEPT_FROM_NS < mtime_ns < _KEPT_UNTIL_NS
