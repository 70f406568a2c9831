"""What jobs will cost under the configuration as it is now, shown before a command changes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lalald.commands.output.printing import say
from lalald.commands.prerequisites.job_selection import MOST_LINES
from lalald.errors import ConfigError
from lalald.jobs.job import Job
from lalald.reports.formatting import count, price
from lalald.reports.quotes import Quote, together

if TYPE_CHECKING:
    from lalald.config import Config


def configuration(explicit: str | None) -> Config | None:
    """The configuration as the daemon would read it now; None if it has errors."""
    from lalald.config import find, load

    try:
        return load(find(explicit, os.environ), os.environ)
    except ConfigError:
        return None


def current_rules(config: Config | None) -> Callable[[Job], Job]:
    """A function that matches an unpaid job to the current rules, as the daemon will; without effect if the configuration has errors."""
    from lalald.inbox.rematch import rematch_job

    if config is None:
        return lambda job: job
    inboxes = {str(inbox.path): inbox for inbox in config.inboxes}
    return lambda job: rematch_job(job, inboxes[job.inbox]) if job.inbox in inboxes else job


def show_quotes(quotes: Sequence[Quote]) -> None:
    """Print a line for each, at most a screen, and the sum."""
    for one in quotes[:MOST_LINES]:
        say(one.line())
    if len(quotes) > MOST_LINES:
        say(f"… and {count(len(quotes) - MOST_LINES, 'more job')}")
    if len(quotes) > 1:
        say(f"total: {price(*together(quotes))}")
