"""The commands: summary, costs and examples for --help, and the module that runs each."""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """A command. `module` has `add_arguments(parser)` and `run(arguments)`, which returns the exit code.

    `configured`: it reads a configuration.
    """

    name: str
    module: str
    summary: str
    costs: str
    examples: tuple[str, ...]
    more: str = ""
    configured: bool = True


_NOTHING = "nothing."
_NEXT_START = "If the daemon is not running, this takes effect at its next start; the exit code is 0 then, too."

GROUPS: tuple[tuple[str, tuple[Verb, ...]], ...] = (
    (
        "start",
        (
            Verb(
                "init",
                "lalald.commands.init",
                "Write a starter configuration with its folders and its own state, and show what to do next.",
                _NOTHING,
                ("lalald init", "lalald init ~/stems", "lalald init ~/karaoke --recipe karaoke"),
                configured=False,
            ),
            Verb(
                "check-config",
                "lalald.commands.check_config",
                "List every configuration error, or summarize what will be watched.",
                _NOTHING,
                ("lalald check-config", "lalald check-config --config ./config.yaml"),
                "Exit code 2 if there are errors.",
            ),
            Verb(
                "schema",
                "lalald.commands.schema",
                "Print the JSON Schema of the configuration, for editors.",
                _NOTHING,
                ("lalald schema > lalald.schema.json",),
                configured=False,
            ),
            Verb(
                "run",
                "lalald.commands.run",
                "Run the daemon: watch the inboxes and process new files.",
                "what the service charges: the length of each file in minutes, with multistem once for each stem.",
                ("lalald run", "lalald run --once --config ./config.yaml"),
                "SIGTERM stops it, SIGHUP reads the configuration again.\n"
                "With --once the exit code is 0 if all went well, 1 if something failed or is held.",
            ),
            Verb(
                "web",
                "lalald.commands.web",
                "Print a link that logs in to the page, or run the page alone.",
                _NOTHING,
                ("lalald web --link", "lalald web"),
                "The daemon runs the page when `web.listen` is set. A link works once, within 5 minutes.",
            ),
            Verb(
                "demo",
                "lalald.commands.demo",
                "Show lalald at work on a sandbox, without a key.",
                "nothing: it uses a sandbox on this machine.",
                ("lalald demo", "lalald demo --keep DIR"),
                configured=False,
            ),
            Verb(
                "sandbox",
                "lalald.commands.sandbox",
                "Run a local stand-in for LALAL.AI to rehearse against.",
                "nothing: it separates nothing; its tracks are copies of the source.",
                (
                    "lalald sandbox --port 8900 --processing-seconds 5",
                    "lalald run --config ~/rehearsal/config.yaml",
                ),
                "A rehearsal needs its own state and folders (`lalald init ~/rehearsal`), so that results of the sandbox are never\n"
                "mistaken for real ones. To use the sandbox, put `api_url: http://127.0.0.1:8900` into its configuration.\n"
                "\n"
                "faults, as OPERATION:KIND, with *COUNT for how often (0: for ever):\n"
                "  operations  upload split batch change_voice check cancel cancel_all delete minutes voices download, * for all\n"
                "  answers     a status such as 503, html empty huge redirect dead\n"
                "  JSON        half missing null type unknown extra\n"
                "  late        hang delay slow\n"
                "  connection  reset_before reset_during reset_after (the answer is lost after a charge) cut long\n"
                "  tasks       task_error stuck; in a batch item_error; in check and cancel server_error\n"
                "  tracks      http_link label size lost_track\n"
                "  NAME=VALUE  match=WORD in the file's name, after=REQUESTS, seconds=SECONDS; of some kinds code= detail= "
                "status= retry_after= fraction= at_byte= wait_seconds= bytes_per_second= percent=",
                configured=False,
            ),
        ),
    ),
    (
        "look",
        (
            Verb(
                "status",
                "lalald.commands.status",
                "Show the daemon, inboxes, jobs, minutes, and what needs you.",
                "nothing.",
                ("lalald status", "lalald status --watch", "lalald status --json | jq .minutes.left"),
                "Exit code 3 if the daemon is not running or does not answer, else 1 if something needs you, else 0.",
            ),
            Verb(
                "jobs",
                "lalald.commands.jobs",
                "List jobs, newest last.",
                _NOTHING,
                ("lalald jobs", "lalald jobs --failed", "lalald jobs --stage done --limit 0 --json | jq -r '.[].path'"),
            ),
            Verb(
                "show",
                "lalald.commands.show",
                "Show everything about one job: tasks, tracks, errors.",
                _NOTHING,
                ("lalald show 12", "lalald show 12 --json"),
            ),
            Verb(
                "history",
                "lalald.commands.history",
                "Show what was charged, by day or month and by rule.",
                _NOTHING,
                ("lalald history", "lalald history --month", "lalald history --json | jq .charges"),
            ),
            Verb(
                "explain",
                "lalald.commands.explain",
                "Explain what happens to a file, by which rule, at what cost.",
                "nothing: the duration is read from the file itself.",
                ("lalald explain /srv/lalal/inbox/song.mp3",),
            ),
            Verb(
                "plan",
                "lalald.commands.plan",
                "Price everything that waits in the inboxes, rule by rule.",
                "nothing: durations are read from the files themselves.",
                ("lalald plan", "lalald plan --json"),
                "An estimate: the service measures each file again, and documents only the price of multistem.",
            ),
            Verb(
                "minutes",
                "lalald.commands.minutes",
                "Ask LALAL.AI for the minutes left.",
                _NOTHING,
                ("lalald minutes",),
            ),
            Verb(
                "voices",
                "lalald.commands.voices",
                "List the voice packs for change_voice, your own among them.",
                _NOTHING,
                ("lalald voices", "lalald voices --json"),
            ),
            Verb(
                "health",
                "lalald.commands.health",
                "Check that the daemon is healthy, for monitoring.",
                _NOTHING,
                ("lalald health && echo fine",),
                "Exit code 0 if it is, 1 if a folder or the state is not usable, 3 if it does not answer. Prints only errors.",
            ),
            Verb(
                "notify",
                "lalald.commands.notify",
                "Send a sample through every `notify` entry; show the answers.",
                _NOTHING,
                ("lalald notify --test", "lalald notify --test inbox.unavailable"),
                "Exit code 0 if every entry accepted its sample, else 1.",
            ),
            Verb(
                "help",
                "lalald.commands.help",
                "List the commands, or explain one with examples and costs.",
                _NOTHING,
                ("lalald help", "lalald help release"),
                configured=False,
            ),
        ),
    ),
    (
        "act",
        (
            Verb(
                "retry",
                "lalald.commands.retry",
                "Resume failed or cancelled jobs.",
                "tasks that were not paid yet, or failed on the service; the answer says how much. Results are never paid for twice.",
                ("lalald retry 12 13", "lalald retry --failed"),
                _NEXT_START,
            ),
            Verb(
                "redo",
                "lalald.commands.redo",
                "Process files of finished jobs again, and pay again.",
                "the whole price again, whatever was paid before.",
                ("lalald redo 12", "lalald redo /srv/lalal/inbox/done/song.mp3"),
                _NEXT_START,
            ),
            Verb(
                "cancel",
                "lalald.commands.cancel",
                "Cancel jobs, here and on the service; their files stay.",
                "nothing; what was charged stays charged, and tasks that have already finished are delivered.",
                ("lalald cancel 12 13", "lalald cancel --all", "lalald cancel --all --every-client --yes"),
                _NEXT_START,
            ),
            Verb(
                "release",
                "lalald.commands.release",
                "Release held jobs for the price shown, or accept a new folder.",
                "what the jobs cost; the answer says how much. A lost_task may have been charged already, and is paid again.",
                (
                    "lalald release 12",
                    "lalald release --all --hold first_scan",
                    "lalald release --all --rule podcasts --yes",
                    "lalald release /mnt/nas/inbox",
                ),
                "A release ends only the hold that is shown: it waives per_file, or per_day, or accepts a duplicate, but never\n"
                "the minutes left and the reserve. If the price turns out more than 10 % and 1 minute higher than shown, the\n"
                "job is held again.\n"
                "--all needs --yes for more than one kind of hold, and leaves jobs held as lost_task alone: name them.\n"
                "If the folder of an inbox was replaced, name it here to use the new one.\n" + _NEXT_START,
            ),
            Verb(
                "backup",
                "lalald.commands.backup",
                "Copy the database to a file, while the daemon runs or not.",
                _NOTHING,
                ("lalald backup /srv/backup/lalald.sqlite3",),
                "The copy is consistent and needs no other file. To restore it, stop the daemon, remove lalald.sqlite3-wal and\n"
                "lalald.sqlite3-shm from the state folder, put the copy there as lalald.sqlite3, and start the daemon.",
            ),
            Verb(
                "relocate",
                "lalald.commands.relocate",
                "Change the paths of moved folders; the daemon must be stopped.",
                "nothing. Without it files at the new place are new, and are charged again.",
                ("lalald relocate /srv/lalal /mnt/pool/lalal",),
                "Move the files first, with their modification times and the hidden .lalald files (cp -a, rsync -a), then run this,\n"
                "change the paths in the configuration, and start the daemon.",
            ),
            Verb(
                "rescan",
                "lalald.commands.rescan",
                "Scan the inboxes now.",
                "nothing; new files that it finds are processed as always.",
                ("lalald rescan", "lalald rescan /srv/lalal/inbox"),
                _NEXT_START,
            ),
        ),
    ),
)

VERBS: dict[str, Verb] = {verb.name: verb for _, verbs in GROUPS for verb in verbs}
