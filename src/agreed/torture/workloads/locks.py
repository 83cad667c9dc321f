"""A lock with fencing tokens: an ephemeral sequential node for each who wants it, and the lowest holds it.

The token is the revision at which the holder's node was made.  Whoever holds the lock writes to a resource
outside, which refuses a token lower than one it has seen: a holder that was stopped for too long, and does
not know that its session is over, can do no harm there.

What is written down

    acquire    -> the token          from the wish until it was found that nobody stands before
    release                          the node was deleted: it was there until now, so the lock was held until
                                     now, and nobody else may have acquired it meanwhile
    release, without an answer       where the session was lost: the lock went at any time after it was got

And a look at what sessions leave behind: when a client is told that its session has expired, the node that
hung on it must be gone, for everybody who looks freshly.
"""
from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agreed.check.models.lock import FencedLock

from agreed.check.history import History, Status
from agreed.check.verdict import Verdict
from agreed.torture import judging
from agreed.torture.client import Created, NotAsked, Refused, Unanswered
from agreed.torture.recorder import Answer
from agreed.torture.workloads.workload import ROOT, Objects, Worker, ensure

PATIENCE_S = 4.0
LOOK_AGAIN_S = 0.1

LEFT_BEHIND = "left-behind"
"""What is looked for after a session has expired; the answer must be False."""


class Resource:
    """Something outside that a lock protects: it believes nobody, and looks at tokens."""

    def __init__(self) -> None:
        self.highest: dict[int, int] = {}

    def write(self, number: int, token: int) -> bool:
        if token < self.highest.get(number, 0):
            return False
        self.highest[number] = token
        return True


class Locks:
    name = "lock"
    workers = 5
    pause_s = 0.05

    def __init__(self) -> None:
        self._objects = Objects(f"{ROOT}/{self.name}", 60, ensure)
        self._resource = Resource()
        self._left: dict[str, list[tuple[str, str]]] = {}
        """By client: (session, path) of what must go with that session."""

    async def step(self, worker: Worker) -> None:
        await self._look_behind(worker)
        number = await self._objects.present(worker)
        if number is None:
            return
        session = worker.client.session
        answer = await worker.do("acquire", None, number, self._acquire(worker, number))
        acquired_at = worker.recorder.now()
        assert isinstance(answer.result, int)
        token = answer.result
        await asyncio.sleep(worker.dice.uniform(0, 0.1))
        accepted = self._resource.write(number, token)
        await self._release(worker, number, session, token, acquired_at, accepted)

    async def last_look(self, worker: Worker) -> None:
        await self._look_behind(worker)

    async def _acquire(self, worker: Worker, number: int) -> Answer:
        path, session = self._objects.path(number), worker.client.session
        made = await worker.client.create(f"{path}/", "", ephemeral=True, sequential=True)
        self._left.setdefault(worker.client.name, []).append((session, made.path))
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        name = made.path.rpartition("/")[2]
        try:
            while asyncio.get_running_loop().time() < deadline:
                names = (await worker.client.children(path, fresh=True)).names
                if name not in names:
                    raise NotAsked("the session was lost before the lock was got")
                if min(names) == name:
                    return Answer(made.revision, made.revision)
                await asyncio.sleep(LOOK_AGAIN_S)
        except Unanswered:
            pass  # the wish is still there: take it back
        await self._take_back(worker, made)
        raise NotAsked("somebody else held the lock for too long")

    async def _take_back(self, worker: Worker, made: Created) -> None:
        """Raises `Unanswered` where nobody knows whether it still waits for the lock."""
        try:
            await worker.client.remove(made.path)
        except Refused:
            pass  # the session was lost, and the wish with it
        except NotAsked as problem:
            raise Unanswered(str(problem)) from problem

    async def _release(
        self, worker: Worker, number: int, session: str, token: int, acquired_at: int, accepted: bool
    ) -> None:
        path = next(
            made for lived, made in reversed(self._left[worker.client.name]) if lived == session
        )
        called, process, key = worker.recorder.now(), worker.process, str(number)
        try:
            revision = await worker.client.remove(path)
        except (Refused, Unanswered, NotAsked):
            # It may be held still, or may have been lost long ago.
            worker.recorder.note(process, "release", token, None, key, acquired_at, Status.INFO)
            worker.actor.retire()
            return
        worker.recorder.note(process, "release", token, None, key, called, Status.OK, revision)

    async def _look_behind(self, worker: Worker) -> None:
        """Is anything left of this client's sessions that are over?"""
        waiting = self._left.get(worker.client.name, [])
        for entry in list(waiting):
            session, path = entry
            if session == worker.client.session:
                continue
            found = await worker.client.read(path, fresh=True)
            called = worker.recorder.now()
            worker.recorder.note(
                worker.process, LEFT_BEHIND, path, found is not None, None, called, Status.OK
            )
            waiting.remove(entry)

    def judge(self, recorded: History) -> Sequence[Verdict]:
        return [
            judging.linearizable(recorded, FencedLock(), without=LEFT_BEHIND),
            judging.nothing_left_behind(recorded, LEFT_BEHIND),
        ]


