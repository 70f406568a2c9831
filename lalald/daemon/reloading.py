"""A reload (SIGHUP): read the configuration again and use it, or keep the previous one if it has errors."""

from __future__ import annotations

import asyncio

from lalald.api import Client
from lalald.config import Config
from lalald.config.license_key import CREDENTIAL, FoundKey
from lalald.config.secrets.page_secrets import check_secrets
from lalald.config.secrets.secret_search import found_on
from lalald.config.subprocess_loader import load
from lalald.daemon import notifications, sandbox_guard, startup
from lalald.daemon.parts import Parts, result_folders
from lalald.errors import ConfigError, FileError
from lalald.jobs.job import describe_error
from lalald.reports import needs_attention
from lalald.reports.needs_attention import RejectedConfig


class Reloader:
    """`rejected`: the configuration that the last reload rejected."""

    def __init__(self, parts: Parts) -> None:
        self.rejected: RejectedConfig | None = None
        self._parts = parts
        self._context = parts.context

    async def run(self) -> None:
        """Reload at each signal."""
        parts = self._parts
        while True:
            await parts.signals.reload.wait()
            parts.signals.reload.clear()
            parts.systemd.reloading()
            await self._reload()
            parts.systemd.ready()

    async def _reload(self) -> None:
        before = self._context.config
        try:
            config = await self._context.disks.run(str(before.path.parent), load, before.path, self._parts.environ)
            sandbox_guard.refuse_other_kind(before.api_url, config.api_url)
            await found_on(self._context.disks, check_secrets(config.web, self._parts.environ))
        except (ConfigError, FileError) as error:
            hint = "The previous configuration is in use. Correct the file and reload."
            self._context.log.error("config.rejected", reason=describe_error(error), hint=hint)
            self._note_rejected(RejectedConfig(str(error).splitlines(), self._context.clock.now()))
        else:
            await self._use(config)
            self._note_rejected(None)

    async def _use(self, config: Config) -> None:
        """Jobs under way keep the rule that they were matched with; files that no rule matched are matched again."""
        parts, context = self._parts, self._context
        before, context.config = context.config, config
        old_api = await self._change_client(config)
        self._change_settings(before, config)
        context.folders.keep_only(result_folders(config))
        startup.check_folders(parts)
        parts.inboxes.watch_only(config.inboxes)
        parts.folder_checks.configure()
        await parts.signals.unless_stopped(startup.wait_for_first_scans(parts))
        parts.worker.holds.ask_service_now()
        parts.page.configure(config)
        parts.supervisor.start(startup.ask_minutes_left(parts), "minutes")
        await notifications.configure(parts.notifier, config)
        parts.worker.wake()
        parts.supervisor.start(old_api.aclose(), "former client")  # once its transfers have ended
        context.log.info("config.reloaded", inboxes=[str(inbox.path) for inbox in config.inboxes])

    async def _change_client(self, config: Config) -> Client:
        """Use the key and the address of `config` from now on. Return the client that was used before."""
        parts, context = self._parts, self._context
        parts.key_reader.forget()
        key = await parts.key_reader.read(config)
        old_api, context.api = context.api, parts.clients.connect(config, key)
        self._report_unchanged_credential(key, old_api)
        await parts.worker.license.use_found_key(key, old_api.key)
        return old_api

    def _report_unchanged_credential(self, key: FoundKey, old_api: Client) -> None:
        if key.origin == CREDENTIAL and key.key == old_api.key:
            hint = "systemd passes credentials only when it starts lalald: restart lalald to use a new key."
            self._context.log.info("license.key_unchanged", hint=hint)

    def _change_settings(self, before: Config, config: Config) -> None:
        context = self._context
        if config.state_dir != before.state_dir:
            hint = "Restart lalald to use another state folder."
            context.log.warning("config.state_dir_ignored", state_dir=str(before.state_dir), hint=hint)
        if config.transfers != before.transfers:
            context.downloads = asyncio.Semaphore(config.transfers.downloads)
        context.budget.limits = config.minutes
        context.budget.invalidate()
        self._parts.log_settings.change(config.log)
        startup.log_config_warnings(config, context.log)

    def _note_rejected(self, rejected: RejectedConfig | None) -> None:
        """Record it for `status`, without waiting for a state folder that is full."""
        if rejected is None and self.rejected is None:
            return
        self.rejected = rejected
        self._parts.status_changed.set()
        now = self._context.clock.now()
        writing = self._context.store.run(lambda store: needs_attention.save_rejected(store, rejected, now))
        self._parts.supervisor.start(writing, "rejected configuration")
