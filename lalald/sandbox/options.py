"""The options of a sandbox; those of the command line have the fields' names."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

UPLOAD_LIMIT_BYTES = 10_000_000_000
DAY_SECONDS = 86_400.0
HOUR_SECONDS = 3_600.0
MOST_PORT = 65_535

Batch = Literal["yes", "per-item", "refused"]


@dataclass(frozen=True, slots=True)
class Options:
    """How the sandbox behaves. Times are seconds, sizes bytes.

    `keys`: the accepted license keys; none: every key is accepted. `batch`: "per-item" fails each item of a batch with
    `batch_not_avaliable`, "refused" the whole request, as a plan without batches might. `durations`: the duration of uploads, by
    pattern of the name (`*.mpg`), in whole seconds. `strict`: refuse what the document does not allow, although the live service may
    accept it. `read_seconds`: how long a client may be silent within a request.
    """

    host: str = "127.0.0.1"
    port: int = 0
    files_port: int = 0
    files_origin: str | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    folder: Path | None = None
    keys: tuple[str, ...] = ()
    minutes: float = 1000.0
    queue_seconds: float = 0.0
    processing_seconds: float = 0.0
    processing_seconds_per_minute: float = 0.0
    durations: tuple[tuple[str, int], ...] = ()
    default_duration_seconds: int = 60
    upload_limit_bytes: int = UPLOAD_LIMIT_BYTES
    max_size_bytes: int | None = None
    max_duration_seconds: int | None = None
    batch: Batch = "yes"
    backing_vocals: bool = True
    checks_per_minute: int = 30
    source_seconds: float = DAY_SECONDS
    check_seconds: float = DAY_SECONDS
    link_seconds: float = HOUR_SECONDS
    link_seconds_after_delete: float = HOUR_SECONDS
    ranges: bool = True
    strict: bool = False
    read_seconds: float = 60.0
    journal_entries: int = 20_000
    faults: tuple[str, ...] = ()


def add_arguments(parser: ArgumentParser) -> None:
    """The options of `lalald sandbox`."""
    _add_addresses(parser)
    _add_account(parser)
    _add_times(parser)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse what the document does not allow to the letter, such as splitter: auto; default: accept and record it",
    )
    parser.add_argument(
        "--journal-entries",
        type=_number(int, 1),
        default=Options().journal_entries,
        help="requests in the journal (%(default)s)",
    )
    parser.add_argument(
        "--fault",
        dest="faults",
        action="append",
        metavar="OPERATION:KIND[*COUNT][,NAME=VALUE…]",
        help="inject a fault: upload:503*3 · download:cut,fraction=0.3 · split:reset_after*0 (0: for ever); repeatable",
    )


def _add_addresses(parser: ArgumentParser) -> None:
    default = Options()
    parser.add_argument("--host", default=default.host, help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port",
        type=_number(int, 0, MOST_PORT),
        default=8900,
        help="port of the API (%(default)s); 0: any free port",
    )
    parser.add_argument(
        "--files-port", type=_number(int, 0, MOST_PORT), default=0, help="port of the downloads; 0: any free port"
    )
    parser.add_argument(
        "--files-origin", metavar="URL", help="base URL of the downloads for clients, if it is not HOST:FILES_PORT"
    )
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="serve TLS with this certificate (PEM)")
    parser.add_argument("--certificate-key", type=Path, metavar="FILE", help="its private key (PEM)")
    parser.add_argument("--folder", type=Path, help="folder for uploads; default: the system's temporary folder")


def _add_account(parser: ArgumentParser) -> None:
    default = Options()
    parser.add_argument(
        "--key", dest="keys", action="append", metavar="KEY", help="an accepted license key; default: every key"
    )
    parser.add_argument("--minutes", type=_number(float, 0), default=default.minutes, help="minutes left (%(default)s)")
    parser.add_argument(
        "--batch",
        choices=["yes", "per-item", "refused"],
        default=default.batch,
        help="whether the plan has batches (%(default)s)",
    )
    parser.add_argument(
        "--max-size-bytes", type=_number(int, 1), help="the plan's largest file: exceeded_size above it"
    )
    parser.add_argument(
        "--max-duration-seconds", type=_number(int, 1), help="the plan's longest file: max_duration above it"
    )
    parser.add_argument("--upload-limit-bytes", type=_number(int, 1), default=default.upload_limit_bytes)
    parser.add_argument(
        "--duration",
        dest="durations",
        type=_duration,
        action="append",
        metavar="NAME=SECONDS",
        help="duration of uploads of this name, in whole seconds: film.mpg=5400 · '*.aac=180'; repeatable",
    )
    parser.add_argument(
        "--default-duration-seconds",
        type=_number(int, 1),
        default=default.default_duration_seconds,
        help="duration of files that neither --duration nor their header states (%(default)s)",
    )
    parser.add_argument(
        "--backing-vocals",
        action=BooleanOptionalAction,
        default=True,
        help="whether lead_back finds vocals@1",
    )


def _add_times(parser: ArgumentParser) -> None:
    default, seconds = Options(), _number(float, 0)
    parser.add_argument(
        "--queue-seconds", type=seconds, default=0.0, help="how long a task waits at 0 %% (%(default)s)"
    )
    parser.add_argument(
        "--processing-seconds", type=seconds, default=0.0, help="then how long it is processed (%(default)s)"
    )
    parser.add_argument(
        "--processing-seconds-per-minute",
        type=seconds,
        default=0.0,
        help="and how much longer for each minute of each stem",
    )
    parser.add_argument("--checks-per-minute", type=_number(int, 1), default=30, help="429 above it (%(default)s)")
    parser.add_argument(
        "--source-seconds", type=seconds, default=default.source_seconds, help="until a source expires (a day)"
    )
    parser.add_argument(
        "--check-seconds", type=seconds, default=default.check_seconds, help="until /check/ forgets a task (a day)"
    )
    parser.add_argument(
        "--link-seconds", type=seconds, default=default.link_seconds, help="until a link expires (an hour)"
    )
    parser.add_argument(
        "--link-seconds-after-delete",
        type=seconds,
        default=default.link_seconds_after_delete,
        help="until the links of a deleted source return 404 (an hour)",
    )
    parser.add_argument(
        "--read-seconds",
        type=_number(float, 0.01),
        default=default.read_seconds,
        help="until a client that is silent within a request is disconnected (%(default)s)",
    )
    parser.add_argument("--ranges", action=BooleanOptionalAction, default=True, help="whether downloads can be resumed")


def options_from(namespace: Namespace) -> Options:
    """The options of a parsed command line."""
    given = {field.name: getattr(namespace, field.name, None) for field in fields(Options)}
    for name in ("keys", "faults", "durations"):
        given[name] = tuple(given[name] or ())
    return Options(**{name: value for name, value in given.items() if value is not None})


def _duration(text: str) -> tuple[str, int]:
    pattern, _, seconds = text.rpartition("=")
    try:
        return pattern, int(seconds)
    except ValueError:
        raise ArgumentTypeError(f"{text!r}: expected NAME=SECONDS, with whole seconds") from None


def _number(kind: Callable[[str], float], least: float, most: float = sys.float_info.max) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a number") from None
        if not least <= value <= most:
            raise ArgumentTypeError(f"{text} is above {most:g}" if value > most else f"{text} is below {least:g}")
        return value

    return number
