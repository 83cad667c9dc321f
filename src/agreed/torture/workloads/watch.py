"""Watches: who follows a tree is told of every change, and who asks once is told of the first.

Some clients write: they create, change and delete a few nodes, with values that occur once.  The others
watch, each in one of two ways (`watchers.py`).  The revision of a deletion is not in its answer, so it is
done together with a change of a node beside it, at one revision, which tells it.

What became of a write without an answer nobody knows, so its node is left alone from then on, and what its
one-shot watches tell is not judged.
"""
from __future__ import annotations

import itertools
from collections.abc import Sequence

from agreed.check.history import History, Operation, Status
from agreed.check.verdict import Outcome, Verdict
from agreed.check.watches import WatchFired, WatchSet, Write, one_shot, watches
from agreed.torture import client as outcomes
from agreed.torture.client import Refused, Unanswered
from agreed.torture.recorder import Answer
from agreed.torture.workloads.judgement import Judgement
from agreed.torture.workloads.watchers import Asker, Follower
from agreed.torture.workloads.workload import ROOT, Worker, ensure
from agreed.torture.zookeeper_client import ZooKeeperClient, raise_if_refused
from agreed.wire.zookeeper.messages import DeleteRequest, MultiRequest, SetDataRequest
from agreed.wire.zookeeper.replies import MultiReply, SetDataReply

TREE = f"{ROOT}/watch/tree"
MARKER = f"{ROOT}/watch/marker"
NODES = 8

WRITERS = 3


class Watch:
    name = "watch"
    workers = 7
    pause_s = 0.1

    def __init__(self) -> None:
        self._values = itertools.count()
        self._numbers = itertools.count(NODES)
        self._paths = [f"{TREE}/{number}" for number in range(NODES)]
        self._followers: dict[str, Follower] = {}
        self._askers: dict[str, Asker] = {}
        self._ready = False

    async def step(self, worker: Worker) -> None:
        if not self._ready:
            for path in (TREE, MARKER):
                await ensure(worker.client, path)
            self._ready = True
        client = worker.client
        assert isinstance(client, ZooKeeperClient), "watches are ZooKeeper's"
        number = int(client.name.rpartition("-")[2])
        if number < WRITERS:
            await self._write(worker, client)
        elif number % 2:
            if client.name not in self._followers:
                self._followers[client.name] = Follower(client, TREE)
            await self._followers[client.name].step(worker.dice)
        else:
            if client.name not in self._askers:
                self._askers[client.name] = Asker(client, TREE, self._paths)
            await self._askers[client.name].step(worker.dice)

    async def last_look(self, worker: Worker) -> None:
        await worker.client.children(TREE, fresh=True)

    async def _write(self, worker: Worker, client: ZooKeeperClient) -> None:
        path, value = worker.dice.choice(self._paths), str(next(self._values))
        chance = worker.dice.random()
        try:
            if chance < 0.6:
                await worker.do("set", value, path, self._set(client, path, value))
            elif chance < 0.8:
                await worker.do("create", value, path, self._create(client, path, value))
            else:
                await worker.do("delete", None, path, self._delete(client, path))
        except Unanswered:
            # From now on nobody knows what is there: others go on with another node.
            if path in self._paths:
                self._paths[self._paths.index(path)] = f"{TREE}/{next(self._numbers)}"
            raise

    async def _set(self, client: ZooKeeperClient, path: str, value: str) -> Answer:
        return Answer(None, (await client.write(path, value)).revision)

    async def _create(self, client: ZooKeeperClient, path: str, value: str) -> Answer:
        return Answer(None, (await client.create(path, value)).revision)

    async def _delete(self, client: ZooKeeperClient, path: str) -> Answer:
        request = MultiRequest(
            (DeleteRequest(path.encode(), -1), SetDataRequest(MARKER.encode(), b"", -1))
        )
        [answer] = await client.ask(request)
        raise_if_refused(answer.reply)
        if not isinstance(answer.reply, MultiReply):
            raise Refused(outcomes.ABSENT)
        deleted, marked = answer.reply.results
        if not isinstance(marked, SetDataReply):
            raise_if_refused(deleted)
            raise Refused(outcomes.ABSENT)
        return Answer(None, marked.stat.modified_zxid)

    def judge(self, recorded: History) -> Sequence[Judgement]:
        written = [write for each in recorded if (write := _written(each)) is not None]
        followed = [record for follower in self._followers.values() for record in follower.records]
        doubtful = {write.key for write in written if write.revision is None}
        asked = [
            record
            for asker in self._askers.values()
            for record in asker.records
            if not (isinstance(record, WatchSet | WatchFired) and record.path in doubtful)
        ]
        if any(follower.untold for follower in self._followers.values()):
            reason = "this server does not say at which revision an event happened"
            stream = Verdict("watches", Outcome.UNKNOWN, reason)
        else:
            stream = watches(followed, written, initial={})
        return [
            Judgement("persistent", recorded, stream, followed, written),
            Judgement("one-shot", recorded, one_shot(asked, written, initial=()), asked, written),
        ]


def _written(operation: Operation) -> Write | None:
    """What an operation has done, or may have done; None: nothing."""
    if operation.status is Status.FAIL:
        return None
    return Write(
        operation.revision, str(operation.key), operation.argument, operation.function == "delete"
    )
