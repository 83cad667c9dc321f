"""The cores of this machine as players of a campaign: one process each, jobs in, results out.

Each worker is a fresh interpreter (spawned, not forked: nothing of the parent's threads and terminal is in
it, and hash seeds differ between workers, so that a simulator that depends on them is found out).  It gets
one job at a time over a pipe and answers with one result; both are JSON, nothing is pickled.

A worker that dies (killed, no memory left, a crash of the interpreter) takes one job with it: that job is
reported as failed with what is known of the death, and another worker takes the place.  One that plays a job
for longer than `job_seconds_most` is killed, and the job reported as one that did not end.
"""
from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import msgspec

from agreed.sim.campaign import DID_NOT_END, WORKER_DIED, Campaign, Job, Played, lost

PLAYER = "agreed.cli.simulate_player:play"
"""Who plays a job: `module:function` of a `Callable[[str, int], Played]` (profile, seed).  A name and not a
function, because a worker is another process, perhaps on another machine."""

ATTENTION_SECONDS = 0.1
"""How often whoever waits for results looks up: to draw progress, to see that time is over."""


def player(name: str) -> Callable[[str, int], Played]:
    """The function behind such a name."""
    module, _, function = name.partition(":")
    found: Callable[[str, int], Played] = getattr(importlib.import_module(module), function)
    return found


def _work(pipe: Connection, name: str) -> None:
    """What a worker does, until its pipe is closed.  Ctrl-C is for the parent, which closes the pipes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    play = player(name)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            profile, seed = msgspec.json.decode(pipe.recv_bytes(), type=tuple[str, int])
            pipe.send_bytes(msgspec.json.encode(play(profile, seed)))


class _Worker:
    """One process, and the job it has."""

    def __init__(self, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, its_end = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(its_end, name), daemon=True)
        self.process.start()
        its_end.close()
        self.job: Job | None = None
        self.since = 0.0

    def give(self, job: Job) -> None:
        self.job, self.since = job, time.monotonic()
        # A worker that died between two jobs is noticed when its pipe is read.
        with contextlib.suppress(BrokenPipeError):
            self.pipe.send_bytes(msgspec.json.encode((job.profile, job.seed)))

    def result(self) -> Played | None:
        """Of its job; None if the process is gone."""
        try:
            return msgspec.json.decode(self.pipe.recv_bytes(), type=Played)
        except (EOFError, ConnectionResetError):
            return None

    def end(self, *, at_once: bool) -> None:
        self.pipe.close()
        if at_once:
            self.process.kill()
        self.process.join()


def death(code: int | None) -> str:
    """What is known of a process that is gone."""
    if code is not None and code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    return f"ended with code {code}"


class Pool:
    """Plays a campaign on this machine: `with Pool(2) as pool: for results in pool.play(campaign): ...`"""

    def __init__(self, workers: int, *, name: str = PLAYER, job_seconds_most: float = 600.0) -> None:
        self._name = name
        self._job_seconds_most = job_seconds_most
        self._workers = [_Worker(name) for _ in range(workers)]

    def __enter__(self) -> Pool:
        return self

    @property
    def cores(self) -> int:
        return len(self._workers)

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end(at_once=True)

    def play(self, campaign: Campaign) -> Iterator[list[Played]]:
        """Yields what counts from now on (`Campaign.take`), or nothing now and then so that the caller may do
        something else, such as `campaign.stop()`; until the campaign is over."""
        while not campaign.over:
            for worker in self._workers:
                if worker.job is None and (job := campaign.next_job()) is not None:
                    worker.give(job)
            busy = {worker.pipe: worker for worker in self._workers if worker.job is not None}
            ready = wait(list(busy), ATTENTION_SECONDS) if busy else []
            if not ready:
                yield []
            for pipe in ready:
                assert isinstance(pipe, Connection)
                yield campaign.take(self._collect(busy[pipe]))
            for worker in busy.values():
                if worker.job is not None and time.monotonic() - worker.since > self._job_seconds_most:
                    yield campaign.take(self._give_up(worker))

    def _collect(self, worker: _Worker) -> Played:
        assert worker.job is not None
        job, played = worker.job, worker.result()
        worker.job = None
        if played is not None:
            return played
        self._replace(worker, at_once=False)
        return lost(job, WORKER_DIED, f"the process that played it {death(worker.process.exitcode)}")

    def _give_up(self, worker: _Worker) -> Played:
        assert worker.job is not None
        job = worker.job
        self._replace(worker, at_once=True)
        return lost(job, DID_NOT_END, f"still playing after {self._job_seconds_most:g} s")

    def _replace(self, worker: _Worker, *, at_once: bool) -> None:
        worker.end(at_once=at_once)
        self._workers[self._workers.index(worker)] = _Worker(self._name)
