"""What the kernel says of a running program."""

from __future__ import annotations

import os
from pathlib import Path

MIB = 1 << 20


def _status(path: Path) -> dict[str, int]:
    pairs = (line.split(":", 1) for line in path.read_text().splitlines())
    return {name: int(value.split()[0]) for name, value in pairs if value.split() and value.split()[0].isdecimal()}


def resident_bytes(pid: int) -> int:
    """Its memory now."""
    return _status(Path(f"/proc/{pid}/status"))["VmRSS"] * 1024


def peak_resident_bytes(pid: int) -> int:
    """The most memory that it ever had."""
    return _status(Path(f"/proc/{pid}/status"))["VmHWM"] * 1024


def wake_ups(pid: int) -> int:
    """How often its threads were given a processor because something woke them."""
    threads = [_status(Path(f"/proc/{pid}/task/{thread}/status")) for thread in os.listdir(f"/proc/{pid}/task")]
    return sum(thread["voluntary_ctxt_switches"] for thread in threads)


def written_bytes(pid: int) -> int:
    """What it handed to the disks."""
    return _status(Path(f"/proc/{pid}/io"))["write_bytes"]


def processor_seconds(pid: int) -> float:
    """Processor time of the process, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
