"""Several requests in one packet, and their answers.

What is sent together is answered in that order, and a read behind a write sees it; `SyncRequest` in front of
reads makes them see everything that was acknowledged, to anybody, before they were asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from agreed.client import aio
from agreed.client.driver import seconds
from agreed.client.errors import UnknownAnswer, error_of
from agreed.client.watches import Watcher
from agreed.wire.zookeeper.connection import Answer
from agreed.wire.zookeeper.messages import ErrorCode, Request, SyncRequest
from agreed.wire.zookeeper.replies import ErrorReply, Reply

IN_ONE_PACKET: Final = 500
"""More reads than this are asked for in several."""

Wanted = TypeVar("Wanted")


class Deadline:
    """The time that a call may take in all."""

    def __init__(self, timeout_s: float) -> None:
        self._at = seconds() + timeout_s

    @property
    def left_s(self) -> float:
        return max(0.0, self._at - seconds())


async def ask(
    session: aio.Session,
    *requests: Request,
    deadline: Deadline,
    repeatable: bool = False,
    watcher: Watcher | None = None,
) -> Sequence[Answer]:
    """One answer for each, with their errors in them.  Raises `Unanswered`, Forked."""
    return await session.driver.ask(
        *requests, timeout_s=deadline.left_s, repeatable=repeatable, watcher=watcher
    )


async def read(
    session: aio.Session, *requests: Request, deadline: Deadline, fresh: bool = True
) -> list[Reply]:
    """Requests that change nothing.  `fresh`: nothing that was acknowledged before is missed."""
    replies: list[Reply] = []
    for start in range(0, len(requests), IN_ONE_PACKET):
        piece = requests[start : start + IN_ONE_PACKET]
        if fresh and not start:
            answers = await ask(session, SyncRequest(b"/"), *piece, deadline=deadline, repeatable=True)
            expect(object, answers[0].reply, b"/")
            answers = answers[1:]
        else:
            answers = await ask(session, *piece, deadline=deadline, repeatable=True)
        replies += [answer.reply for answer in answers]
    return replies


def error_code(reply: Reply) -> int:
    return reply.error if isinstance(reply, ErrorReply) else ErrorCode.OK


def expect(kind: type[Wanted], reply: Reply, path: bytes) -> Wanted:
    """Raises what stands in it."""
    if isinstance(reply, ErrorReply):
        raise error_of(reply.error, path.decode("utf-8", "replace"))
    if not isinstance(reply, kind):
        raise UnknownAnswer(path.decode("utf-8", "replace"), 0)
    return reply


def if_there(kind: type[Wanted], reply: Reply, path: bytes) -> Wanted | None:
    """The same, None where there is no such node."""
    return None if error_code(reply) == ErrorCode.NO_NODE else expect(kind, reply, path)
