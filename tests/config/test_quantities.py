"""Durations, sizes and rates: what people write is what is meant, and what is shown reads back."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalald.config import quantities
from lalald.config.quantities import format_duration, format_rate, format_size, parse_duration, parse_rate, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5), ("10m", 600), ("24h", 86400), ("90d", 7776000), ("2w", 1209600), ("250ms", 0.25), ("1h30m", 5400),
        ("1h 30m", 5400), ("1.5h", 5400), (".5s", 0.5), ("90", 90), ("0", 0), ("0s", 0), (" 5 s ", 5), ("0.2", 0.2),
    ],
)  # fmt: skip
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)
    assert re.search(quantities.DURATION_PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "s", "5x", "5 s 3", "-5s", "1:30", "5sm", "five", "1e3s", "5S", "٥s", "1.2.3s", "∞"]
)
def test_an_invalid_duration_is_refused_in_plain_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a duration such as 5s, 10m, 24h or 90d") as refused:
        parse_duration(text)
    assert f'got "{text}"' in str(refused.value)


def test_a_clock_time_is_not_read_as_a_number() -> None:
    with pytest.raises(ValueError, match=r"write 1m30s"):
        parse_duration("1:30")


def test_a_duration_beyond_a_century_is_a_slip() -> None:
    with pytest.raises(ValueError, match="a hundred years"):
        parse_duration("999999999d")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (5, "5s"), (0.25, "250ms"), (1.5, "1.5s"), (90, "1m30s"), (3600, "1h"), (5400, "1h30m"),
        (7776000, "90d"), (60.5, "1m0.5s"), (3600.25, "1h0.25s"),
    ],
)  # fmt: skip
def test_a_duration_is_written_as_short_as_it_goes(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 10**11))
def test_a_written_duration_reads_back_to_the_millisecond(milliseconds: int) -> None:
    text = format_duration(milliseconds / 1000)
    assert round(parse_duration(text) * 1000) == milliseconds
    assert re.search(quantities.DURATION_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500_000_000), ("10GiB", 10 * 2**30), ("100", 100), ("0", 0), ("1.5KiB", 1536), ("2 TB", 2 * 10**12),
        ("2mb", 2_000_000), ("2mib", 2 * 2**20), ("7B", 7), ("7b", 7), ("9007199254740993", 9007199254740993),
    ],
)  # fmt: skip
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert re.search(quantities.SIZE_PATTERN, text)


@pytest.mark.parametrize("text", ["", "MB", "5 M", "10G", "5Mb", "5Gib", "-5MB", "5MBit", "5 MB MB", "1e3", "٥MB"])
def test_an_invalid_or_ambiguous_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a size such as 500MB or 10GiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.2 kB"), (999_949, "999.9 kB"), (999_999, "1 MB"),
        (9_400_000, "9.4 MB"), (500_000_000, "500 MB"), (2 * 10**12, "2 TB"), (5 * 10**15, "5000 TB"),
    ],
)  # fmt: skip
def test_a_size_is_written_in_its_unit(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 10**15))
def test_a_written_size_reads_back_as_near_as_it_is_shown(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.06)


@pytest.mark.parametrize("text", ["2MB", "2MB/s", "2MB / s", "2000000", "2MBps", "2MB/S"])
def test_a_rate_is_bytes_per_second_with_or_without_saying_so(text: str) -> None:
    assert parse_rate(text) == 2_000_000
    assert re.search(quantities.RATE_PATTERN, text)


@pytest.mark.parametrize("text", ["2MB/h", "fast", "2Mb", "2Mbps", "2mbps", "2ps", "/s", ""])
def test_an_invalid_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a rate such as 500KB or 2MB \(bytes per second\)"):
        parse_rate(text)


def test_a_rate_of_nothing_would_never_end() -> None:
    with pytest.raises(ValueError, match="null for no limit"):
        parse_rate("0")


@given(st.integers(1, 10**12))
def test_a_written_rate_reads_back(rate: int) -> None:
    assert parse_rate(format_rate(rate)) == pytest.approx(rate, rel=0.06)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_and_never_worse(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_rate):
        with suppress(ValueError):
            assert parse(text) >= 0


@pytest.mark.parametrize("parse", [parse_duration, parse_size, parse_rate])
def test_an_invalid_quantity_is_shown_shortened(parse: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match="expected a ") as refused:
        parse("9" * 6000 + "x")
    assert len(str(refused.value)) < 200
