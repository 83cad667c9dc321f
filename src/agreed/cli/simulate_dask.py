"""A Dask cluster as player of a campaign, for those who outgrow one machine (`pip install agreed[dask]`).

What travels are names, seeds and JSON: a task is a function of this module by its name, with a profile and a
seed; its result is bytes.  So the workers need the same version of `agreed` installed, and that is checked
first: a campaign on mixed code would say nothing about any of it.

A worker that dies takes its tasks with it; Dask gives them to others, up to its own bound
(`distributed.scheduler.allowed-failures`), after which the seed is reported as one that kills workers.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from agreed.cli.simulate_code import code_hash
from agreed.cli.simulate_pool import ATTENTION_SECONDS, PLAYER, player
from agreed.errors import AgreedError, ConfigurationError
from agreed.sim.campaign import WORKER_DIED, Campaign, Job, Played, lost

TASKS_PER_CORE = 2
"""Under way for each thread of the cluster: one is played while the other travels."""

CONNECT_SECONDS = 10.0


def is_ours(its_hash: str) -> bool:
    """A worker with such code plays the same runs as this process."""
    return its_hash == code_hash()


def play_job(name: str, profile: str, seed: int) -> bytes:
    """One task: plays on the worker, and answers with JSON."""
    return msgspec.json.encode(player(name)(profile, seed))


class DaskPool:
    """The same as `simulate_pool.Pool`, on the cluster whose scheduler is at `address`."""

    def __init__(self, address: str, *, name: str = PLAYER) -> None:
        try:
            import distributed
        except ImportError as error:
            raise ConfigurationError("--dask needs the extra: pip install 'agreed[dask]'") from error
        self._name = name
        self._distributed: Any = distributed
        try:
            self._client: Any = self._distributed.Client(address, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise NoCluster(f"no Dask scheduler answers at {address}: {error}") from error
        self._under_way: dict[Any, Job] = {}

    def __enter__(self) -> DaskPool:
        try:
            self._check_workers()
        except BaseException:
            self._client.close()
            raise
        return self

    def _check_workers(self) -> None:
        hashes = self._client.run(code_hash)
        if not hashes:
            raise NoCluster("the Dask cluster has no workers")
        different = sorted(worker for worker, its_hash in hashes.items() if not is_ours(its_hash))
        if different:
            raise NoCluster(f"other code of agreed is installed on {', '.join(different)}")

    def __exit__(self, *_: object) -> None:
        self._client.cancel(list(self._under_way), force=True)
        self._client.close()

    @property
    def cores(self) -> int:
        return sum(self._client.nthreads().values())

    def play(self, campaign: Campaign) -> Iterator[list[Played]]:
        """As `simulate_pool.Pool.play`."""
        while not campaign.over:
            while len(self._under_way) < TASKS_PER_CORE * max(self.cores, 1):
                if (job := campaign.next_job()) is None:
                    break
                # pure=False: a key of its own, so that a result of an earlier campaign is not handed out.
                future = self._client.submit(play_job, self._name, job.profile, job.seed, pure=False)
                self._under_way[future] = job
            done = self._done()
            if not done:
                yield []
            for future in done:
                yield campaign.take(self._result(future, self._under_way.pop(future)))

    def _done(self) -> list[Any]:
        try:
            waited: Any = self._distributed.wait(
                list(self._under_way), timeout=ATTENTION_SECONDS, return_when="FIRST_COMPLETED"
            )
        except self._distributed.TimeoutError:
            return []
        return [future for future in self._under_way if future in waited.done]

    def _result(self, future: Any, job: Job) -> Played:
        if future.status == "finished":
            return msgspec.json.decode(future.result(), type=Played)
        return lost(job, WORKER_DIED, f"Dask says: {str(future.exception()).splitlines()[0]}")


class NoCluster(AgreedError):
    """Nothing there that could play."""
