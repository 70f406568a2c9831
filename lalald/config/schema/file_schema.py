"""The configuration file as people write it: every key with its kind of value, its default and its description.

This is the only list of keys. Defaults are those of `model`; None means "not written". Required keys, and how keys fit together, are
checked afterwards, so that one error does not hide another.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lalald.config import model
from lalald.config.schema import value_types
from lalald.config.schema.value_types import (
    Amount,
    Duration,
    Flag,
    Free,
    Interval,
    Limit,
    Rate,
    Text,
    Texts,
    Unshown,
    Words,
)
from lalald.media.tags.title_template import DEFAULT_TITLE


class Section(BaseModel):
    """A mapping of known keys. A known key without a value counts as not written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_the_empty(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}

    def written(self) -> dict[str, Any]:
        """The keys written in the file, with their values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Log(Section):
    level: Annotated[model.LogLevel, *value_types.one_of(model.LogLevel, "level")] = Field(
        default="info", description="The lowest level that is logged. LALALD_LOG_LEVEL overrides it."
    )
    format: Annotated[model.LogFormat, *value_types.one_of(model.LogFormat, "format")] = Field(
        default="auto",
        description="auto: for people on a terminal and in a container, JSON otherwise. LALALD_LOG_FORMAT overrides it.",
    )


class Transfers(Section):
    uploads: Annotated[int, *value_types.whole(1, 64)] = Field(default=3, description="How many uploads at once.")
    downloads: Annotated[int, *value_types.whole(1, 64)] = Field(default=6, description="How many downloads at once.")
    upload_rate: Rate | None = Field(
        default=None, description="Bytes per second of all uploads together, such as 2MB; null: no limit."
    )
    download_rate: Rate | None = Field(
        default=None, description="Bytes per second of all downloads together; null: no limit."
    )


class Minutes(Section):
    reserve: Amount = Field(default=0.0, description="Minutes that are never spent.")
    per_file: Limit | None = Field(
        default=None, description="A file that costs more minutes than this is held; null: no limit."
    )
    per_day: Limit | None = Field(default=None, description="Minutes that may be spent in a day; null: no limit.")


class Web(Section):
    listen: Text | None = Field(
        default=None,
        description="Where the page is: 127.0.0.1:8910, 0.0.0.0:8910, [::]:8910 or unix:/run/lalald/web.sock; null: no page."
        " LALALD_WEB_LISTEN overrides it.",
    )
    auth: Annotated[model.WebAuth, *value_types.one_of(model.WebAuth, "auth")] = Field(
        default="password", description="password; none: for a proxy that asks for one, on a separate network."
    )
    password_file: Unshown | None = Field(
        default=None,
        description="File with the page's password, 10 characters or more. Also: LALALD_WEB_PASSWORD, LALALD_WEB_PASSWORD_FILE.",
    )
    read_token_file: Unshown | None = Field(
        default=None,
        description="File with a second secret that can only read: metrics and api/status, for dashboards.",
    )
    trusted_proxies: Texts = Field(
        default=(),
        description="Networks whose X-Forwarded-* headers give client address, scheme and host: 172.16.0.0/12.",
    )
    hosts: Texts = Field(default=(), description="More names that the page may be called by: music.example.org.")
    uploads: Flag = Field(default=True, description="Whether files can be put into an inbox by the page.")


class Task(Section):
    name: Text | None = Field(default=None, description="The value of {task} in `output`; default: the task's number.")
    mode: Text | None = Field(default=None, description="What the service does with the file.")
    presets: Free | None = Field(default=None, description="The parameters of the mode, in the service's own names.")


class Rule(Section):
    name: Text | None = Field(default=None, description="The rule's name in logs and `status`; default: its mode.")
    match: Texts = Field(
        default=(), description="gitignore patterns on the path within the inbox; default: everything of a known type."
    )
    types: Annotated[model.Types, *value_types.one_of(model.Types, "types")] = Field(
        default="media", description="media: files of known audio and video types only; any: whatever matches."
    )
    mode: Text | None = Field(default=None, description="What the service does with the file; or `tasks` for several.")
    presets: Free | None = Field(default=None, description="The parameters of the mode, in the service's own names.")
    tasks: list[Task] | None = Field(
        default=None, description="Several tasks on one upload, instead of `mode`; each is charged."
    )
    output: Text = Field(
        default=model.DEFAULT_OUTPUT,
        description="Where a result goes within the outbox: {dir} {name} {label} {ext} {task} {rule} {mode} {type} {id} {date}.",
    )
    on_conflict: Annotated[model.OnConflict, *value_types.one_of(model.OnConflict, "on_conflict")] = Field(
        default="rename", description="What to do if a result already exists."
    )
    duplicates: Annotated[model.Duplicates, *value_types.one_of(model.Duplicates, "duplicates")] = Field(
        default="reuse",
        description="The same content again: reuse earlier results and hold if they are gone, always hold, or process and pay again.",
    )
    tracks: Texts | None = Field(
        default=None, description="The tracks to deliver: labels, or stem or back; default: all."
    )
    labels: Words = Field(default_factory=dict, description="Other names for tracks: {no_vocals: Instrumental}.")
    tags: Flag = Field(
        default=True, description="Give each result the tags and covers of its source, under a title of its own."
    )
    tag_title: Text = Field(
        default=DEFAULT_TITLE,
        description="The title that a result gets: {title} of the source, else its {name}; {label} {type} {task} {rule} {mode}.",
    )
    delete: Flag = Field(default=True, description="Delete the upload and its results from the service afterwards.")
    manifest: Flag = Field(default=False, description="Write lalald.json beside the tracks, last of all.")
    unchecked: Flag = Field(
        default=False, description="Pass the presets as they are: for parameters that are newer than this release."
    )


class Inbox(Section):
    path: Text | None = Field(
        default=None, description="The folder to watch; a relative path starts at this file's folder."
    )
    outbox: Text | None = Field(
        default=None, description="Where results go; a relative one is a folder within the inbox, never watched."
    )
    existing: Annotated[model.Existing, *value_types.one_of(model.Existing, "existing")] = Field(
        default="hold",
        description="Files there before the first scan: take all, skip all, or hold them if they are more than 20, or if another database"
        " watched the inbox before.",
    )
    recursive: Flag = Field(default=True, description="Whether subfolders are watched too.")
    watch: Annotated[model.Watch, *value_types.one_of(model.Watch, "watch")] = Field(
        default="auto",
        description="How new files are noticed; auto: by events of the kernel if the file system has them.",
    )
    poll_interval: Interval = Field(default=10.0, description="Time between scans, if polling.")
    settle: Duration = Field(
        default=5.0,
        description="A file is finished once it has not changed for this long; 0s: once no program is writing to it.",
    )
    rescan: Interval = Field(default=3600.0, description="Time between full scans, whatever the events say.")
    changed: Annotated[model.Changed, *value_types.one_of(model.Changed, "changed")] = Field(
        default="process", description="A known file with new content: process it as a new job, or skip it."
    )
    ignore: Texts = Field(default=(), description="Files to ignore: gitignore patterns on the path within the inbox.")
    prune: Flag = Field(
        default=False,
        description="Remove a folder that arrived in the inbox once its files were archived and it has been empty for 10 minutes.",
    )
    on_success: Annotated[model.OnSuccess, *value_types.one_of(model.OnSuccess, "on_success")] = Field(
        default="move", description="What happens to the source file once every result is in place."
    )
    done_dir: Text = Field(
        default="done", description="Where finished source files go: within the inbox, or an absolute path."
    )
    on_failure: Annotated[model.OnFailure, *value_types.one_of(model.OnFailure, "on_failure")] = Field(
        default="move", description="What happens to the source file of a failed job."
    )
    failed_dir: Text = Field(
        default="failed", description="Where failed source files go: within the inbox, or an absolute path."
    )
    rules: list[Rule] | None = Field(
        default=None, description="The first rule that matches a file decides; no match: it is left alone."
    )


class Notify(Section):
    name: Text | None = Field(
        default=None, description="What logs and `status` call the entry; nothing else of it is shown."
    )
    url: Unshown | None = Field(default=None, description="An Apprise URL without a secret in it.")
    url_file: Unshown | None = Field(default=None, description="A file with an Apprise URL.")
    webhook: Unshown | None = Field(default=None, description="Where events are posted as JSON, one by one.")
    secret_file: Unshown | None = Field(
        default=None,
        description="A file with the secret by which a webhook is signed (Standard Webhooks): whsec_ and base64.",
    )
    command: Texts | None = Field(
        default=None,
        description="A program and its arguments, run for each event, never by a shell; the event is its input.",
    )
    on: Texts = Field(default=("problems",), description="problems, all, done, or a list of events.")
    gather: Duration | None = Field(
        default=None, description="How long a message waits for others of its cause; only with `url`; default: 60s."
    )
    names: Flag | None = Field(
        default=None, description="false: numbers and codes only, no file names leave the house."
    )
    timeout: Interval | None = Field(default=None, description="How long a command may run; default: 10m.")


class File(Section):
    license_key_file: Unshown | None = Field(
        default=None,
        description="File with the license key. Also: LALALD_LICENSE_KEY, LALALD_LICENSE_KEY_FILE, systemd's license-key.",
    )
    api_url: Text = Field(default=model.DEFAULT_API_URL, description="The service. LALALD_API_URL overrides it.")
    state_dir: Text | None = Field(
        default=None,
        description="The folder of lalald's database, on a local disk. LALALD_STATE_DIR overrides it; default $STATE_DIRECTORY, XDG state.",
    )
    log: Log = Field(default=Log(), description="What is logged, and how.")
    transfers: Transfers = Field(default=Transfers(), description="Uploads and downloads of all inboxes together.")
    checks_per_minute: Annotated[int, *value_types.whole(1, 6000)] = Field(
        default=model.CHECKS_PER_MINUTE, description="Status requests per minute; the service's document allows 30."
    )
    minutes: Minutes = Field(default=Minutes(), description="Limits on spending, in minutes.")
    on_lost_task: Annotated[model.OnLostTask, *value_types.one_of(model.OnLostTask, "on_lost_task")] = Field(
        default="hold",
        description="A task that was started and charged, but whose id never arrived: hold the job, or pay again.",
    )
    history: Duration = Field(
        default=90 * model.DAY_SECONDS, description="How long the details of finished jobs are kept."
    )
    web: Web = Field(default_factory=Web, description="The page in the browser.")
    notify: list[Notify] | None = Field(default=None, description="Receivers of events: messages, webhooks, commands.")
    inboxes: list[Inbox] | None = Field(default=None, description="The watched folders.")
