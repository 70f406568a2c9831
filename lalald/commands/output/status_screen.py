"""The screen of `status`: what needs a person, then what is running, then what is finished and where it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from lalald.commands.output.lines import Cell, Line, Span, columns, paragraph, shortened
from lalald.commands.output.tables import bar
from lalald.config.quantities import format_rate
from lalald.jobs.job import Job
from lalald.jobs.job_results import results_folder
from lalald.jobs.job_steps import DOING
from lalald.jobs.job_warnings import warning_of, warnings_of
from lalald.jobs.spending.prices import cost_text, free_text
from lalald.jobs.states import Stage
from lalald.reports.formatting import ago, count, price, printable, short_moment, span
from lalald.reports.needs_attention import Attention
from lalald.reports.status_report import Overview
from lalald.store import SkipReason
from lalald.store.report_types import InboxReport, JobReport
from lalald.store.tables.skipped_files import SkippedFiles

_LABEL = 10  # columns
_MOST_RUNNING = 6
_MOST_INCOMPLETE = 3
_MOST_INBOXES = 8
_LONGEST_MESSAGE = 3  # lines
_LONGEST_EXAMPLE = 40  # columns
_WITH_BARS = 100  # columns
_BAR_WIDTH = 16
_BLANK: Line = ()
_WHY_SKIPPED = {  # for one file, and for several
    SkipReason.NO_RULE: (
        "no rule processes it; `lalald plan` says why",
        "no rule processes them; `lalald plan` says why",
    ),
    SkipReason.EMPTY: ("it is empty; copy it again", "they are empty; copy them again"),
    SkipReason.CHANGED: (
        "it was processed before its content changed (`changed: skip`)",
        "they were processed before their content changed (`changed: skip`)",
    ),
}


def lines(overview: Overview, width: int | None) -> Iterator[Line]:
    """`width`: columns; None for no limit."""
    yield from _header(overview, width)
    if items := overview.needs_attention:
        yield _BLANK
        for item in items:
            yield from _attention_lines(item, width)
    yield _BLANK
    for label, part in _parts(overview, None if width is None else max(30, width - _LABEL)):
        for place, line in enumerate(part):
            yield [Span(("" if place else label).ljust(_LABEL), "bold"), *line]


def _header(overview: Overview, width: int | None) -> list[Line]:
    if not overview.running:
        where = Cell(f"state folder {printable(str(overview.state_dir))}", "dim", "middle")
        return columns([[Cell("lalald is not running, or does not respond", "bold red"), where]], width)
    if overview.daemon is None:
        return [[Span("lalald is running", "bold")]]
    facts = overview.daemon.value
    since = short_moment(facts["started_at"], overview.now)
    config = Cell(printable(str(facts["config"])), "dim", "middle")
    return columns([[Cell(f"lalald {facts['version']} is running since {since}", "bold"), config]], width)


def _attention_lines(item: Attention, width: int | None) -> Iterator[Line]:
    if item.code == "daemon_not_running":  # the header says it
        yield from paragraph(item.hint, width, first="! ", then="  ", style="red")
        return
    message = printable(item.message)
    if width is not None:
        longest = _LONGEST_MESSAGE - (item.code == "jobs_failed")
        message = shortened(message, longest * (width - 2) - width // 6, "end")
    style = "yellow" if item.code.startswith("hold_") else "red"
    yield from paragraph(message, width, first="! ", then="  ", style=style)
    if item.hint:
        yield from paragraph(printable(item.hint), width, first="  ", then="  ")


def _parts(overview: Overview, width: int | None) -> Iterator[tuple[str, Iterable[Line]]]:
    if overview.service is not None and (trouble := overview.service.value.get("trouble")):
        since = overview.service.value.get("since")
        text = printable(trouble) + (f" (since {short_moment(since, overview.now)})" if since else "")
        text += "; it is tried again automatically" if overview.running else ""
        yield "service", paragraph(text, width, style="yellow")
    yield "running" if overview.running else "stopped", _running(overview, width)
    if waiting := _waiting(overview):
        yield "waiting", paragraph(waiting, width)
    if overview.incomplete:
        yield "missing", _incomplete(overview, width)
    if overview.finished:
        yield "finished", _all_finished(overview, width)
    yield "jobs", paragraph(_totals(overview), width)
    if overview.skipped:
        yield "skipped", chain.from_iterable(paragraph(_skipped(each), width) for each in overview.skipped)
    yield "minutes", paragraph(_minutes(overview), width)
    if overview.inboxes:
        yield "inboxes", _inboxes(overview, width)


def _running(overview: Overview, width: int | None) -> list[Line]:
    if not overview.under_way:
        return [[Span("no jobs", "dim")]]
    listed = overview.under_way[:_MOST_RUNNING]
    rows = [_running_row(report, overview, bars=(width or 0) >= _WITH_BARS) for report in listed]
    more = overview.counts.states["running"] - len(listed)
    return [*columns(rows, width), *([[Span(f"and {count(more, 'more job')}", "dim")]] if more > 0 else [])]


def _running_row(report: JobReport, overview: Overview, *, bars: bool) -> list[Cell]:
    job, percent = report.job, report.percent or 0.0
    rate, left = (report.rate, report.seconds_left(overview.now)) if overview.running else (None, None)
    return [
        Cell(f"#{job.id}"),
        Cell(printable(job.path), "", "middle"),
        Cell(DOING.get(job.stage, str(job.stage)), "cyan"),
        *([Cell(bar(percent, _BAR_WIDTH), "cyan")] if bars else []),
        Cell(f"{percent:.0f} %", "", "never", "right"),
        Cell("" if rate is None else format_rate(rate), "", "never", "right"),
        Cell("" if left is None else f"{span(left)} left"),
    ]


def _waiting(overview: Overview) -> str:
    counts = overview.counts
    stages = {stage: counts.stages.get(stage, 0) - counts.running.get(stage, 0) for stage in Stage}
    listed = ", ".join(f"{number:,} to {stage}" for stage, number in stages.items() if number > 0)
    parts = [f"{count(counts.states['waiting'], 'job')} ({listed})"] if counts.states["waiting"] > 0 else []
    if parts and overview.waiting_minutes:
        parts.append(f"{price(overview.waiting_minutes, overview.waiting_unknown)} will be charged")
    elif parts and overview.waiting_unknown:
        parts.append("lengths and prices not known yet")
    if overview.asked:
        parts.append(f"{count(overview.asked, 'request')} not handled by the daemon yet")
    return "; ".join(parts)


def _incomplete(overview: Overview, width: int | None) -> list[Line]:
    reports = overview.incomplete[:_MOST_INCOMPLETE]
    rows = [
        [Cell(f"#{one.job.id}"), Cell(printable(one.job.path), "", "middle"), Cell(printable(warning_of(one.job) or ""), "yellow", "end")]
        for one in reports
    ]  # fmt: skip
    return columns(rows, width)


def _all_finished(overview: Overview, width: int | None) -> list[Line]:
    rows = columns([_finished(report, overview) for report in overview.finished], width)
    with_warnings = [report.job for report in overview.finished if warnings_of(report.job)]
    if not with_warnings:
        return rows
    return [*rows, *paragraph(f"`lalald show {with_warnings[0].id}` lists the warnings", width, style="dim")]


def _finished(report: JobReport, overview: Overview) -> list[Cell]:
    job, warnings = report.job, len(warnings_of(report.job))
    folder = results_folder(job)
    at = job.updated_at if job.finished_at is None else job.finished_at
    return [
        Cell(f"#{job.id}"),
        Cell(printable(job.path), "", "middle"),
        Cell(f"→ {printable(folder)}", "green", "start") if folder else Cell("no new results", "dim"),
        _cost_cell(job, overview),
        Cell(ago(at, overview.now), "dim"),
        *([Cell(count(warnings, "warning"), "yellow", "never")] if warnings else []),
    ]


def _cost_cell(job: Job, overview: Overview) -> Cell:
    if job.minutes:
        return Cell(f"{cost_text(job.minutes)} min charged", "", "never", "right")
    if (earlier := overview.dropped_as.get(job.duplicate_of or 0)) is not None:
        return Cell(f"free, same as #{job.duplicate_of} {printable(earlier)}", "", "end", "right")
    return Cell("nothing charged", "", "never", "right")


def _skipped(skipped: SkippedFiles) -> str:
    example = shortened(printable(skipped.example or ""), _LONGEST_EXAMPLE, "middle")
    one, several = _WHY_SKIPPED[skipped.code]
    return f"{count(skipped.files, 'file')}, such as {example}: {one if skipped.files == 1 else several}"


def _totals(overview: Overview) -> str:
    states = overview.counts.states
    return ", ".join(
        f"{states[state]:,} {state}" for state in ("done", "failed", "held", "cancelled") if states[state] or state == "done"
    )  # fmt: skip


def _minutes(overview: Overview) -> str:
    minutes = overview.minutes
    charged = f"{cost_text(minutes.today)} charged today, {cost_text(minutes.this_month)} this month"
    if minutes.left is None:
        return f"{charged}; minutes left: not known yet"
    since = f", less {cost_text(minutes.since)} charged since" if minutes.since else ""
    age = "" if minutes.left_at is None else f" (asked {ago(minutes.left_at, overview.now)}{since})"
    return f"{free_text(minutes.left)} left{age}; {charged}"


def _inboxes(overview: Overview, width: int | None) -> list[Line]:
    listed: Sequence[InboxReport] = overview.inboxes[:_MOST_INBOXES]
    rows = [_inbox_row(inbox, overview) for inbox in listed]
    more = len(overview.inboxes) - len(listed)
    return [*columns(rows, width), *([[Span(f"and {more} more", "dim")]] if more else [])]


def _inbox_row(inbox: InboxReport, overview: Overview) -> list[Cell]:
    path = Cell(printable(inbox.path), "", "middle")
    if inbox.available is False:
        since = "" if inbox.since is None else f" since {short_moment(inbox.since, overview.now)}"
        return [path, Cell(f"unavailable{since}", "red")]
    if not overview.running:
        return [path, Cell("not watched", "dim")]
    if inbox.available is None:
        return [path, Cell("not scanned yet", "dim")]
    why = inbox.watch_reason if inbox.watch != "native" else ""
    text = "; ".join(printable(part) for part in (why, inbox.reason) if part)
    return [path, Cell(f"watched, {inbox.watch or 'starting'}"), Cell(text, "dim", "end")]
