"""The connection is cut between a request and its answer: what was done is said truly, and found again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from agreed.backends.contract import Absent, At, Backend, Change, Delete, Guard, Kind, Layout, Put
from agreed.client.errors import ClientError, Unanswered
from tests.backends.conftest import Place, in_peace, with_connections_to_cut
from tests.node.running import DEADLINE_S

ARRIVES = pytest.mark.parametrize("arrives", [True, False], ids=["done", "not done"])

pytestmark = with_connections_to_cut


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await holds():
            await asyncio.sleep(0.01)


async def stands(backend: Backend, directory: str, mark: str, many: int = 1) -> bool:
    line = [*await backend.line(directory, Layout.KAZOO), *await backend.line(directory, Layout.CURATOR)]
    return sum(each.mark == mark for each in {each.key: each for each in line}.values()) == many


@ARRIVES
@pytest.mark.parametrize("layout", list(Layout))
def test_who_entered_stands_once(place: Place, layout: Layout, arrives: bool) -> None:
    async def story() -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            session = await backend.open_session(10.0)
            elsewhere = await other.open_session(10.0)
            first = await other.enter("line", elsewhere, uuid4().hex, b"", Kind.WRITER, layout)
            value = uuid4().hex.encode()
            leash.hold(value, forwards=arrives)
            mark = uuid4().hex
            entering = asyncio.ensure_future(backend.enter("line", session, mark, value, Kind.WRITER, layout))
            await leash.held()
            if arrives:
                await soon(lambda: stands(other, "line", mark))
                behind = await other.enter("line", elsewhere, uuid4().hex, b"", Kind.WRITER, layout)
            leash.cut()
            standing = await asyncio.wait_for(entering, DEADLINE_S)
            assert standing.mine.value == value
            line = [first.mine.key, standing.mine.key, *([behind.mine.key] if arrives else [])]
            assert [each.key for each in await other.line("line", layout)] == line
            assert [each.key for each in standing.line if each.key in line[:2]] == line[:2]

    asyncio.run(story())


@ARRIVES
def test_who_entered_and_was_cancelled_leaves(place: Place, arrives: bool) -> None:
    async def story() -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            session = await backend.open_session(10.0)
            elsewhere = await other.open_session(10.0)
            await other.enter("line", elsewhere, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO)
            mark, value = uuid4().hex, uuid4().hex.encode()
            leash.hold(value, forwards=arrives)
            entering = asyncio.ensure_future(
                backend.enter("line", session, mark, value, Kind.WRITER, Layout.KAZOO)
            )
            await leash.held()
            if arrives:
                await soon(lambda: stands(other, "line", mark))
            entering.cancel()
            await asyncio.wait([entering])
            leaving = asyncio.ensure_future(backend.leave("line", session, mark))
            leash.cut()
            await asyncio.wait_for(leaving, DEADLINE_S)
            assert await stands(other, "line", mark, 0)
            assert not session.ended

    asyncio.run(story())


@ARRIVES
def test_who_left_is_gone(place: Place, arrives: bool) -> None:
    async def story() -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            session = await backend.open_session(10.0)
            mark = uuid4().hex
            standing = await backend.enter("line", session, mark, b"", Kind.WRITER, Layout.KAZOO)
            leash.hold(standing.mine.key.encode(), forwards=arrives)
            leaving = asyncio.ensure_future(backend.leave("line", session, mark))
            await leash.held()
            if arrives:
                await soon(lambda: stands(other, "line", mark, 0))
            leash.cut()
            await asyncio.wait_for(leaving, DEADLINE_S)
            assert await stands(other, "line", mark, 0)

    asyncio.run(story())


async def outcome(committing: asyncio.Future[int | None]) -> int | bool | None:
    """A revision; None: not done, a guard; False: surely not done; True: perhaps."""
    try:
        return await asyncio.wait_for(committing, DEADLINE_S)
    except ClientError as error:
        return error.maybe


@ARRIVES
def test_what_became_of_a_key_with_a_session_is_known(place: Place, arrives: bool) -> None:
    async def story() -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            session = await backend.open_session(10.0)
            await other.commit([], [Put("a/x", b"")])
            value = uuid4().hex.encode()
            leash.hold(value, forwards=arrives)
            committing = asyncio.ensure_future(
                backend.commit([Absent("a/k")], [Put("a/k", value, session), Put("b", b"")])
            )
            await leash.held()
            if arrives:
                await soon(lambda: is_value(other, "a/k", value))
            leash.cut()
            revision = await outcome(committing)
            if revision is True:
                assert not place.speaks_zookeeper
                return
            entry = await other.get("a/k")
            assert entry is not None
            assert (entry.created, entry.owner) == (revision, session.id)

    asyncio.run(story())


async def is_value(backend: Backend, key: str, value: bytes | None) -> bool:
    entry = await backend.get(key)
    return (None if entry is None else entry.value) == value


COMMITS = ["blind", "guarded", "deleted", "made"]


@ARRIVES
@pytest.mark.parametrize("what", COMMITS)
def test_what_is_said_of_a_commit_is_true(place: Place, what: str, arrives: bool) -> None:
    """It is done once or not at all, and who is not told that it may have been done can rely on what he is
    told."""

    async def story() -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            await other.commit([], [Put("k", b"0"), Put("others/x", b"")])
            before = await other.get("k")
            assert before is not None
            value = uuid4().hex.encode()
            commits: dict[str, tuple[list[Guard], list[Change]]] = {
                "blind": ([], [Put("k", value)]),
                "guarded": ([At("k", before.version)], [Put("k", value)]),
                "deleted": ([], [Delete("k"), Put("gone", value)]),
                "made": ([Absent("new")], [Put("new", value)]),
            }
            guards, changes = commits[what]
            leash.hold(value, forwards=arrives)
            committing = asyncio.ensure_future(backend.commit(guards, changes))
            await leash.held()
            put = next(each for each in changes if isinstance(each, Put))
            if arrives:
                await soon(lambda: is_value(other, put.key, value))
            leash.cut()
            said = await outcome(committing)
            entry = await other.get(put.key)
            done = entry is not None and entry.value == value
            if said is True:
                # An etcd may still do what was sent on a connection that is lost: nobody knows.
                known = arrives or not place.speaks_zookeeper
                assert known, "what was not done can be seen not to have been done"
            elif said is False or said is None:
                assert not done
            else:
                assert entry is not None
                assert done
                assert entry.modified == said
            assert done == (await other.get("k") is None) or what != "deleted"

    asyncio.run(story())


@ARRIVES
def test_nobody_claims_what_somebody_else_did(place: Place, arrives: bool) -> None:
    """Two who would put the same: the one whose answer was lost does not take the other's for his own."""

    async def story() -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            await other.commit([], [Put("count", b"5")])
            entry = await other.get("count")
            assert entry is not None
            value = b"6" * 32
            leash.hold(value, forwards=arrives)
            committing = asyncio.ensure_future(
                backend.commit([At("count", entry.version)], [Put("count", value)])
            )
            await leash.held()
            if arrives:
                await soon(lambda: is_value(other, "count", value))
            theirs = await other.commit([At("count", entry.version)], [Put("count", value)])
            assert (theirs is None) == arrives
            leash.cut()
            said = await outcome(committing)
            found = await other.get("count")
            assert found is not None
            if isinstance(said, int) and not isinstance(said, bool):
                assert arrives
                assert found.modified == said
            elif not arrives:
                assert said in (None, False, True)

    asyncio.run(story())


def test_a_call_takes_no_longer_than_it_may(place: Place) -> None:
    async def story() -> None:
        async with place.leash() as leash, place.backend(by=leash, request_timeout_s=0.3) as backend:
            mark = uuid4().hex
            with in_peace(backend):
                session = await backend.open_session(10.0)
                await backend.enter("line", session, mark, b"", Kind.WRITER, Layout.KAZOO)
            leash.close()
            calls = [
                backend.get("k"),
                backend.entries("k"),
                backend.names("k"),
                backend.line("line", Layout.KAZOO),
                backend.commit([], [Put("k", b"")]),
                backend.commit([], [Put("k", b"", session)]),
                backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO),
                backend.leave("line", session, mark),
            ]
            async with asyncio.timeout(DEADLINE_S):
                for failed in await asyncio.gather(*calls, return_exceptions=True):
                    assert isinstance(failed, Unanswered)

    asyncio.run(story())
