"""The two threads that a node has for its disk, in virtual time: one for the log, one for snapshots.

As `agreed.node.writer` and the shell have them: saves that wait are written together; each job begins when
the one before it has ended; what came of it is told when its time is over.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from agreed.consensus.machine import LoadChunk, Save, SaveChunk, SnapshotRejected
from agreed.disk.recovery import Recovered
from agreed.disk.snapshot_work import SnapshotWork
from agreed.disk.snapshots import SnapshotFile
from agreed.errors import CorruptData, DiskFailed
from agreed.replica import events
from agreed.sim.disk import Job
from agreed.sim.trace import FILE_JOB, SAVED
from agreed.sim.world import MS
from agreed.types import Index, Term

if TYPE_CHECKING:
    from agreed.sim.node import Node

SNAPSHOT_PAUSE_US = 2 * MS
"""Between two pieces that are written, as in `agreed.node.shell`."""

RESTORE_PAUSE_US = 500


class Storage:
    """Of one life of a node."""

    def __init__(self, node: Node, recovered: Recovered) -> None:
        conditions = node.cluster.plan.conditions
        self._node = node
        self._world = node.world
        self._boot = node.boot
        self._disk = node.disk
        self._wal = recovered.wal
        self._snapshots = recovered.snapshots
        self._snapshot_index = recovered.snapshot.mark.index if recovered.snapshot is not None else 0
        """Where the newest durable snapshot ends."""
        self._work = SnapshotWork(recovered.snapshots, node.complain, conditions.chunk_bytes)
        self._low, high = conditions.sync_us
        self._spread = high - self._low + 1
        self._bits = node.world.stream("sync", node.name, node.boot).bits
        self._jobs: deque[Save | Callable[[], None]] = deque()
        self._busy = self._ended = False
        self._files: deque[tuple[Callable[[], object], Callable[[object], None], int]] = deque()
        self._files_busy = False
        self._writing_from: int | None = None
        """The first entry of the job that is under way."""
        self.durable_ballot = self._written_ballot = recovered.ballot

    # --- the log ------------------------------------------------------------------------------------------

    def save(self, save: Save) -> None:
        self._jobs.append(save)
        if not self._busy:
            self._begin()

    def _call(self, job: Callable[[], None]) -> None:
        """Something else to do with the log's files, in its turn between saves."""
        self._jobs.append(job)
        if not self._busy:
            self._begin()

    def _begin(self) -> None:
        jobs = self._jobs
        if not jobs or self._ended:
            return
        self._busy = True
        serials: list[int] = []
        problem = None
        disk = self._disk
        job = disk.begin()
        try:
            if isinstance(jobs[0], Save):
                saves = []
                while jobs and isinstance(save := jobs[0], Save):
                    saves.append(save)
                    serials.append(save.serial)
                    jobs.popleft()
                firsts = [save.entries[0].index for save in saves if save.entries]
                self._writing_from = min(firsts, default=None)
                self._wal.append(saves)
                self._written_ballot = saves[-1].ballot
            else:
                other = jobs.popleft()
                assert not isinstance(other, Save)
                other()
        except (DiskFailed, OSError) as error:
            problem = str(error)
        finally:
            disk.leave()
        self._world.later(self._latency(), self._done, job, (serials, problem))

    def _latency(self) -> int:
        extra: int = self._disk.extra_us
        return self._low + (self._bits(16) * self._spread >> 16) + extra

    def _done(self, job: Job, came_of_it: tuple[list[int], str | None]) -> None:
        node = self._node
        if node.boot != self._boot:
            return
        self._disk.finish(job)
        serials, problem = came_of_it
        self._world.trace.event(self._world.now, SAVED, node.number, len(serials))
        if problem is not None:
            self._fail(problem)
            return
        self._busy = False
        self._writing_from = None
        self.durable_ballot = self._written_ballot
        if self._jobs:
            self._begin()
        if serials:
            node.happened(*[events.Saved(serial) for serial in serials])

    def _fail(self, problem: str) -> None:
        self._ended = True
        self._node.disk_failed(problem)

    def holds(self, index: int, term: int) -> bool:
        """Whether this entry is durable: in the log, or in a snapshot that has taken its place.

        The base of a log may have lost its term (0) together with the file in which it was; such a file goes
        only when a snapshot holds all of it."""
        if self._writing_from is not None and index >= self._writing_from:
            return False
        held = self._wal.term_at(index)
        if not held:
            return index <= min(self._wal.last_index, self._snapshot_index)
        return held == term

    def saved(self) -> Iterator[tuple[Index, Term]]:
        """All entries of the log that are durable, with their terms."""
        for index in range(self._wal.last_index, 0, -1):
            term = self._wal.term_at(index)
            if term is None:
                return
            if self.holds(index, term):
                yield index, term

    # --- snapshots ----------------------------------------------------------------------------------------

    def _in_thread(
        self, job: Callable[[], object], then: Callable[[object], None], pause_us: int = 0
    ) -> None:
        self._files.append((job, then, pause_us))
        if not self._files_busy:
            self._begin_file()

    def _begin_file(self) -> None:
        job, then, pause_us = self._files.popleft()
        self._files_busy = True
        disk = self._disk
        running = disk.begin()
        result: object
        try:
            result = job()
        except (DiskFailed, OSError) as error:
            result = DiskFailed(str(error))
        finally:
            disk.leave()
        self._world.later(self._latency(), self._file_done, running, (then, result, pause_us))

    def _file_done(self, running: Job, came_of_it: tuple[Callable[[object], None], object, int]) -> None:
        if self._node.boot != self._boot:
            return
        self._disk.finish(running)
        self._world.trace.event(self._world.now, FILE_JOB, self._node.number)
        then, result, pause_us = came_of_it
        self._files_busy = False
        if self._files:
            self._begin_file()
        if isinstance(result, DiskFailed):
            self._node.disk_failed(str(result))
        elif pause_us:
            self._world.later(pause_us, self._after_pause, then, result)
        else:
            then(result)

    def _after_pause(self, then: Callable[[object], None], result: object) -> None:
        if self._node.boot == self._boot:
            then(result)

    def write_snapshot(self, effects: list[events.StartSnapshot | events.SnapshotPiece]) -> None:
        for effect in effects:
            if isinstance(effect, events.StartSnapshot):
                self._work.start(effect.mark)
            else:
                self._write_piece(effect)

    def _write_piece(self, piece: events.SnapshotPiece) -> None:
        def job() -> object:
            return self._work.write(piece.data, piece.last)

        self._in_thread(job, self._piece_written, 0 if piece.last else SNAPSHOT_PAUSE_US)

    def _piece_written(self, written: object) -> None:
        if not isinstance(written, SnapshotFile):
            self._node.happened(events.SnapshotPieceWritten())
            return
        self._snapshot_index = max(self._snapshot_index, written.mark.index)
        self._node.happened(events.SnapshotWritten(written.mark, written.digest))
        self._world.mark("snapshot written")
        self._call(lambda: self._wal.forget_before(self._snapshots.log_needed_from))

    def load(self, request: LoadChunk) -> None:
        self._in_thread(lambda: self._work.load(request), self._node.happened)

    def save_chunk(self, chunk: SaveChunk) -> None:
        self._in_thread(lambda: self._work.save(chunk), self._chunk_saved)

    def _chunk_saved(self, answer: object) -> None:
        if not isinstance(answer, SnapshotFile):
            if isinstance(answer, SnapshotRejected):
                self._world.mark("received snapshot was damaged")
            self._node.happened(answer)
            return
        mark = answer.mark
        self._snapshot_index = max(self._snapshot_index, mark.index)
        if self._node.replica.machine.last_index:
            self._world.mark("snapshot over a log")
        self._call(lambda: self._wal.start_after(mark.index, mark.term))
        try:
            pieces = list(self._snapshots.pieces(mark.index))
        except (CorruptData, DiskFailed) as error:
            self._node.disk_failed(str(error))
            return

        def next_piece(position: int, _: object) -> None:
            if self._node.boot != self._boot:
                return
            if position == len(pieces):
                self._world.mark("snapshot installed")
                self._node.restored(mark)
                return
            self._node.happened(events.RestorePiece(pieces[position]))
            self._world.later(RESTORE_PAUSE_US, next_piece, position + 1)

        next_piece(0, None)
