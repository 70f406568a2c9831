"""A sample through every entry of `notify`, and what each answered."""

from __future__ import annotations

import asyncio
import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lalald.errors import UsageError
from lalald.jobs.event_kinds import EventKind

if TYPE_CHECKING:
    from lalald.config import Config
    from lalald.config.model import NotifyEntry
    from lalald.notify.channels.results import Result
    from lalald.notify.channels.senders import Surroundings

_ANY = "any"


class Answer(NamedTuple):
    """The outcome of one entry's sample; `event`: the event that was sent. `line`, `key`: its place in the configuration."""

    line: int | None
    key: str
    entry: str
    event: str
    ok: bool
    answer: str

    @property
    def with_place(self) -> str:
        """What failed has its place in front, as in `check-config`."""
        if self.ok:
            return self.answer
        return f"line {self.line}  {self.key}: {self.answer}" if self.line else f"{self.key}: {self.answer}"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--test",
        nargs="?",
        const=_ANY,
        metavar="EVENT",
        help="send a sample of EVENT; default: for each entry one that it receives",
    )
    parser.add_argument("--json", action="store_true", help="print JSON: a list")


def run(arguments: Namespace) -> int:
    """0 if every entry accepted its sample, else 1."""
    from lalald.commands.output.json_output import show_json
    from lalald.commands.output.printing import show_sections
    from lalald.commands.output.tables import Section
    from lalald.commands.prerequisites.daemon_user import become_daemon_user
    from lalald.config import find, load

    kind = _kind(arguments.test)
    config = load(find(arguments.config, os.environ), os.environ)
    if not config.notify:
        raise UsageError(
            "the configuration has no entry under `notify`: nothing was sent.",
            hint="`notify: [{name: phone, url_file: FILE, on: problems}]` sends a message when something needs you;"
            " FILE holds an Apprise URL, such as ntfy://TOPIC.",
        )
    become_daemon_user(config.state_dir, None)  # what it may not read or run it cannot send either
    answers = asyncio.run(_answers(config, kind))
    if arguments.json:
        show_json([answer._asdict() for answer in answers])
    else:
        rows = [(answer.entry, answer.event, answer.with_place) for answer in answers]
        show_sections([Section(f"{config.path}: samples", rows, ("entry", "event", "answer"))])
    return 0 if all(answer.ok for answer in answers) else 1


def _kind(test: str | None) -> EventKind | None:
    from lalald.suggestions import unknown

    if test is None:
        raise UsageError(
            "notify needs --test: there is nothing else to do.",
            hint="`lalald notify --test` sends a sample through every entry.",
        )
    if test == _ANY:
        return None
    if test not in set(EventKind):
        raise UsageError(f"{unknown('event', test, EventKind)}")
    return EventKind(test)


async def _answers(config: Config, kind: EventKind | None) -> Sequence[Answer]:
    from lalald.clock import Clock
    from lalald.notify.channels.senders import Surroundings, run_bounded

    around = Surroundings(os.environ, Clock(), run_bounded)
    return await asyncio.gather(*(_answer(config, place, kind, around) for place in range(len(config.notify))))


async def _answer(config: Config, place: int, kind: EventKind | None, around: Surroundings) -> Answer:
    from lalald.notify.channels.results import Sent
    from lalald.notify.samples import kind_to_try

    entry = config.notify[place]
    tried = kind or kind_to_try(entry)
    result = await _sent(entry, tried, around)
    ok = isinstance(result, Sent)
    text = ("ended with 0" if entry.command else "accepted") if isinstance(result, Sent) else result.reason
    key = f"notify[{place}].{getattr(result, 'key', None) or entry.receiver_key}"
    return Answer(config.lines.get(key), key, entry.name, str(tried), ok, text)


async def _sent(entry: NotifyEntry, kind: EventKind, around: Surroundings) -> Result:
    from lalald.notify.channels.senders import run_command, send_message, webhook_sender
    from lalald.notify.messages import Message, message
    from lalald.notify.samples import sample_cause, sample_event

    event = sample_event(kind, time.time())
    if entry.command:
        return await run_command(entry, around, event)
    if entry.webhook is not None:
        async with webhook_sender(entry, around) as send:
            return await send(event)
    text = message(sample_cause(event), names=entry.names)
    return await send_message(entry, around, Message(f"{text.title} (test)", text.body))
