"""The source's tags are read while its tracks arrive: neither a share that hangs nor a damaged file keeps a paid track waiting."""

from __future__ import annotations

import asyncio

from lalald import outbox
from lalald.archive.source_paths import source_folder, source_path
from lalald.errors import FileError, OutOfResourcesError
from lalald.jobs.job import Job
from lalald.jobs.tag_notes import TagNote
from lalald.media.tags.tag_model import SourceTags
from lalald.outbox import SourceRead, Staged, TrackTags
from lalald.outbox.tagging import fault_in_words
from lalald.stages.context import StageContext


class SourceTagReading:
    """For one try of a job's downloads. Its end is awaited in `close`."""

    def __init__(self, job: Job, context: StageContext) -> None:
        self.source = SourceRead()
        self._job = job
        self._context = context
        self._reading: asyncio.Task[None] | None = None
        if job.settings.tags:
            self._reading = asyncio.create_task(self._read(), name=f"tags of job {job.id}")
        else:
            self.source.found = SourceTags()

    async def _read(self) -> None:
        job, context = self._job, self._context
        folders = tuple(dict.fromkeys((source_folder(job), job.settings.outbox)))
        found: SourceTags | TagNote = TagNote.SOURCE_UNREADABLE
        try:
            async with asyncio.timeout(context.source_tag_seconds):
                found = await context.disks.run_transfer(folders, outbox.read_source, job, source_path(job))
        except TimeoutError:
            found = TagNote.SOURCE_SLOW
        except (FileError, OutOfResourcesError):
            pass
        except Exception as error:  # noqa: BLE001 - the tracks are paid, and need no tags
            found = TagNote.FAILED
            self.source.faults.append(fault_in_words(error))
        finally:
            self.source.found = found

    async def finished(self, task_number: int, position: int, staged: Staged) -> Staged:
        """The track with its tags, or without any where that cannot be. Raises FileError, FolderUnavailableError."""
        if staged.is_final:
            return staged
        if self._reading is not None:
            await asyncio.wait([self._reading])
        job = self._job
        task = next(task for task in job.tasks if task.number == task_number)
        wanted = self.source.of_track(job, task, task.tracks[position]) or TrackTags()
        return await self._context.disks.run_transfer(
            job.settings.outbox, outbox.tag, job, task_number, position, staged, wanted
        )

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        for fault in dict.fromkeys(self.source.faults):
            self._context.log.error("tags.failed", job=self._job.id, path=self._job.path, reason=fault)
