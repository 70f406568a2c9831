"""Which values of TZ the C library understands: it silently uses UTC for the others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lalald.daemon.process.time_zone import unknown_time_zone
from tests.conftest import MakeHome

KNOWN = [
    "Europe/Berlin",
    ":Europe/Berlin",
    "UTC",
    "/usr/share/zoneinfo/Asia/Tokyo",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "<+03>-3",
    "EST5EDT",
]
UNKNOWN = ["Europe/Berln", "Berlin", "CEST", "Europe", "../../etc/passwd", "Europe/Berlin ", "+2", "GMT+"]


@pytest.mark.parametrize("value", KNOWN)
def test_values_of_tz_that_are_time_zones(value: str) -> None:
    assert unknown_time_zone({"TZ": value}) is None


@pytest.mark.parametrize("value", UNKNOWN)
def test_other_values_of_tz_are_utc_in_the_c_library(value: str) -> None:
    assert unknown_time_zone({"TZ": value}) == value
    script = "import time; print(time.localtime(1_750_000_000).tm_gmtoff)"
    said = subprocess.run([sys.executable, "-c", script], env={"TZ": value}, capture_output=True, text=True, check=True)
    assert said.stdout == "0\n"


def test_an_empty_tz_is_accepted() -> None:
    assert unknown_time_zone({}) is None
    assert unknown_time_zone({"TZ": ""}) is None


def test_the_daemon_logs_an_unknown_tz_and_its_configuration(make_home: MakeHome) -> None:
    home = make_home("http://127.0.0.1:9")
    home.start(environ={"TZ": "Europe/Berln"})
    (warning,) = home.logged("time_zone.unknown")
    assert warning["TZ"] == "Europe/Berln"
    (ready,) = home.logged("daemon.ready")
    assert ready["config"] == str(home.config)
    home.stop()
