"""Login links that work once, and sessions that were logged out before they would have ended."""

from __future__ import annotations

from lalald.store.queries import Reports
from lalald.store.request_writer import Requests

LINK_SECONDS = 300.0


def add_link(requests: Requests, token_sha256: str, now: float) -> None:
    """From now on this token logs in, once."""
    requests.connection.execute("DELETE FROM login_links WHERE expires_at <= ?", (now,))
    requests.connection.execute("INSERT INTO login_links VALUES (?, ?)", (token_sha256, now + LINK_SECONDS))


def use_link(requests: Requests, token_sha256: str, now: float) -> bool:
    """Whether the token logs in; it does not a second time."""
    used = requests.connection.execute(
        "DELETE FROM login_links WHERE token_sha256 = ? AND expires_at > ?", (token_sha256, now)
    )
    return used.rowcount == 1


def end_session(requests: Requests, key: str, expires_at: float, now: float) -> None:
    """The session is over, in every process."""
    requests.connection.execute("DELETE FROM ended_sessions WHERE expires_at <= ?", (now,))
    requests.connection.execute("INSERT OR IGNORE INTO ended_sessions VALUES (?, ?)", (key, expires_at))


def ended_sessions(reports: Reports) -> dict[str, float]:
    """Their keys, and when they would have ended."""
    return dict(reports.connection.execute("SELECT key, expires_at FROM ended_sessions").fetchall())
