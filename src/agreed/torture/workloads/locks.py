"""A lock with fencing tokens: an ephemeral sequential node for each who wants it, and the lowest holds it.

The token is the revision at which the holder's node was made.  Whoever holds the lock uses a resource
outside, which refuses a token lower than one it has seen: a holder that was stopped for too long, and does
not know that its session is over, can do no harm there.

What is written down

    acquire -> token   from the wish until it was found that nobody stands before
    use token          was the resource willing?
    release token      the node was deleted: it was there until now, so the lock was held until now, and
                       nobody else can have acquired it meanwhile
    expire token       it could not be deleted for sure: the lock may have gone at any time since it was got
    left-behind path   a session has expired, and its client was told so: is its node still there?
    gone-early path    the node is not there: is its session alive all the same?

A wish that was never answered may stand in the row and block it.  So each client first looks for wishes of
its own that it does not remember, and takes them back; that is why its name is part of the node's.
"""
from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agreed.check.history import History, Status
from agreed.check.models.locks import Lock
from agreed.check.verdict import Finding, Outcome, Verdict
from agreed.torture import judging
from agreed.torture.client import NotAsked, Refused, Unanswered
from agreed.torture.recorder import Answer
from agreed.torture.workloads.judgement import Judgement
from agreed.torture.workloads.workload import ROOT, Objects, Worker, ensure

PATIENCE_S = 4.0
LOOK_AGAIN_S = 0.1
HELD_S = 0.1

STOPPED, STOPPED_S = 0.04, 6.0
"""How often a holder is stopped, and for longer than its session lasts."""

MOVED = 0.1
"""How often it goes to another server while it holds the lock."""

LEFT_BEHIND, GONE_EARLY = "left-behind", "gone-early"
"""Is a node there after its session, or not there while the session lives?  The answer must be False."""


class Resource:
    """Something outside that a lock protects: it believes nobody, and looks at tokens."""

    def __init__(self) -> None:
        self._highest: dict[int, int] = {}

    def use(self, number: int, token: int) -> bool:
        if token < self._highest.get(number, 0):
            return False
        self._highest[number] = token
        return True


class Locks:
    name = "lock"
    workers = 5
    pause_s = 0.05

    def __init__(self) -> None:
        self._objects = Objects(f"{ROOT}/{self.name}", 60, ensure)
        self._resource = Resource()
        self._wished: dict[str, list[tuple[str, str]]] = {}
        """By client: (session, path) of what must be gone when that session is."""

    async def step(self, worker: Worker) -> None:
        await self._look_behind(worker)
        number = await self._objects.present(worker)
        if number is None:
            return
        await self._take_back_what_is_forgotten(worker, number)
        session = worker.client.session
        answer = await worker.do("acquire", None, number, self._acquire(worker, number))
        acquired_at, process = worker.recorder.now(), worker.actor.process(session)
        token = answer.result
        assert isinstance(token, int)
        chance = worker.dice.random()
        if chance < STOPPED:
            await worker.client.vanish(STOPPED_S)
        elif chance < STOPPED + MOVED:
            worker.client.disconnect()
        await asyncio.sleep(worker.dice.uniform(0, HELD_S))
        used_at = worker.recorder.now()
        willing = self._resource.use(number, token)
        worker.recorder.note(process, "use", token, willing, str(number), used_at, Status.OK)
        await self._release(worker, number, token, process, acquired_at)

    async def last_look(self, worker: Worker) -> None:
        await self._look_behind(worker)

    async def _acquire(self, worker: Worker, number: int) -> Answer:
        path, session = self._objects.path(number), worker.client.session
        made = await worker.client.create(
            f"{path}/{worker.client.name}-", "", ephemeral=True, sequential=True
        )
        self._wishes(worker).append((session, made.path))
        name = made.path.rpartition("/")[2]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        try:
            while loop.time() < deadline:
                names = (await worker.client.children(path, fresh=True)).names
                if name not in names:
                    await self._look_why(worker, session, made.path)
                    raise NotAsked("the session was lost before the lock was got")
                if min(names, key=_place) == name:
                    return Answer(made.revision, made.revision)
                await asyncio.sleep(LOOK_AGAIN_S)
        except Unanswered:
            pass  # nothing was asked for but a list; the wish is still there
        await self._remove(worker, made.path)
        raise NotAsked("somebody else held the lock for too long")

    async def _release(
        self, worker: Worker, number: int, token: int, process: str, acquired_at: int
    ) -> None:
        session, path = self._wishes(worker)[-1]
        try:
            # Whoever was away finds out by asking whether its session is over.
            await worker.client.read(ROOT, fresh=False)
            if worker.client.session != session:
                raise NotAsked("the session is over")
            called = worker.recorder.now()
            revision = await worker.client.remove(path)
        except (Refused, Unanswered, NotAsked) as problem:
            expiry = f"{process}/{token}"
            worker.recorder.note(expiry, "expire", token, None, str(number), acquired_at, Status.INFO)
            worker.actor.retire()
            if isinstance(problem, Refused):
                await self._look_why(worker, session, path)
            return
        worker.recorder.note(process, "release", token, None, str(number), called, Status.OK, revision)
        self._wishes(worker).pop()

    async def _take_back_what_is_forgotten(self, worker: Worker, number: int) -> None:
        path = self._objects.path(number)
        for name in (await worker.client.children(path, fresh=True)).names:
            if name.startswith(f"{worker.client.name}-"):
                await self._remove(worker, f"{path}/{name}")

    async def _remove(self, worker: Worker, path: str) -> None:
        """Raises `Unanswered` where nobody knows whether it is gone."""
        try:
            await worker.client.remove(path)
        except Refused:
            pass  # the session was lost, and the wish with it
        except NotAsked as problem:
            raise Unanswered(str(problem)) from problem

    async def _look_why(self, worker: Worker, session: str, path: str) -> None:
        """A node of this session is not there.  If the session is alive after that, it has gone too early."""
        called = worker.recorder.now()
        await worker.client.read(ROOT, fresh=True)
        early = worker.client.session == session
        # In the middle of an acquisition, perhaps: so by somebody who does nothing else.
        looks = f"{worker.process}/looks"
        worker.recorder.note(looks, GONE_EARLY, path, early, None, called, Status.OK)

    def _wishes(self, worker: Worker) -> list[tuple[str, str]]:
        return self._wished.setdefault(worker.client.name, [])

    async def _look_behind(self, worker: Worker) -> None:
        """Is anything left of this client's sessions that are over?"""
        for entry in list(self._wishes(worker)):
            session, path = entry
            if session == worker.client.session:
                continue
            called = worker.recorder.now()
            found = await worker.client.read(path, fresh=True)
            worker.recorder.note(
                worker.process, LEFT_BEHIND, path, found is not None, None, called, Status.OK
            )
            self._wishes(worker).remove(entry)

    def judge(self, recorded: History) -> Sequence[Judgement]:
        return [
            judging.linearizable(judging.without(recorded, LEFT_BEHIND, GONE_EARLY), Lock()),
            self._ephemerals(recorded),
        ]

    def _ephemerals(self, recorded: History) -> Judgement:
        """Each node was there as long as its session, and no longer."""
        sentences = {
            LEFT_BEHIND: "is still there, although its client was told that its session is over",
            GONE_EARLY: "is gone, although its session is alive",
        }
        looked = [each for each in recorded if each.function in sentences]
        found = [
            Finding(each.function, (each.index,), (f"{each.argument} {sentences[each.function]}",))
            for each in looked
            if each.result
        ]
        reason = found[0].steps[0] if found else f"{len(looked)} nodes of lost sessions were looked for"
        verdict = Verdict(
            "ephemeral nodes live as long as their sessions",
            Outcome.VIOLATED if found else Outcome.HOLDS,
            reason,
            findings=found,
            steps=len(looked),
        )
        return Judgement("ephemerals", recorded, verdict)


def _place(name: str) -> int:
    return int(name.rpartition("-")[2])
