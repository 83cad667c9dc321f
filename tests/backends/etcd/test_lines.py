"""Places in a line of an etcd: what comes late does nothing, strangers are seen, who asks first is first."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from agreed.backends.contract import Kind, Layout, Put, Session
from agreed.backends.etcd import EtcdBackend
from agreed.client.errors import ConnectionLost
from agreed.client.etcd_channel import EtcdChannel
from agreed.wire.etcd import messages as m
from tests.backends.conftest import Place
from tests.backends.etcd_services import ETCD_SERVICES

TXN, PUT = "/etcdserverpb.KV/Txn", "/etcdserverpb.KV/Put"
DELETE, COMPACT = "/etcdserverpb.KV/DeleteRange", "/etcdserverpb.KV/Compact"


@pytest.fixture(params=ETCD_SERVICES)
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.getfixturevalue(request.param), f"lines-{uuid4().hex}")


async def enter(backend: EtcdBackend, session: Session, mark: str, kind: Kind = Kind.WRITER) -> str:
    return (await backend.enter("line", session, mark, b"", kind, Layout.KAZOO)).mine.key


class Post:
    """What a backend commits, of which the next is kept on its way until it is delivered."""

    def __init__(self, backend: EtcdBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        self._send = backend._calls.commit
        self.kept: list[m.TxnRequest] = []
        self.keeps = False
        monkeypatch.setattr(backend._calls, "commit", self._commit)

    async def _commit(
        self, request: m.TxnRequest, about: str, *, timeout_s: float | None = None
    ) -> m.TxnResponse:
        if self.keeps:
            self.keeps = False
            self.kept.append(request)
            raise ConnectionLost(about, maybe=True)
        return await self._send(request, about, timeout_s=timeout_s)

    async def deliver(self) -> list[bool]:
        return [(await self._send(request, "late")).succeeded for request in self.kept]


@pytest.mark.parametrize("told", [True, False], ids=["asked again", "cancelled"])
def test_who_has_left_is_not_put_back_by_what_comes_late(
    place: Place, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            assert isinstance(backend, EtcdBackend)
            session = await backend.open_session(10.0)
            post = Post(backend, monkeypatch)
            mark = uuid4().hex
            post.keeps = True
            entering = asyncio.ensure_future(enter(backend, session, mark))
            if told:
                await entering
            else:
                while not post.kept:
                    await asyncio.sleep(0)
                entering.cancel()
                await asyncio.wait([entering])
            await backend.leave("line", session, mark)
            assert await post.deliver() == [False]
            assert await backend.line("line", Layout.KAZOO) == ()
            # Whoever comes behind the fence is let in all the same.
            key = await enter(backend, session, uuid4().hex)
            assert [each.key for each in await backend.line("line", Layout.KAZOO)] == [key]

    asyncio.run(story())


def test_a_fence_is_no_key_and_goes_with_its_session(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            assert isinstance(backend, EtcdBackend)
            session = await backend.open_session(10.0)
            post = Post(backend, monkeypatch)
            mark = uuid4().hex
            post.keeps = True
            await enter(backend, session, mark)
            await backend.leave("line", session, mark)
            assert await backend.names("") == []
            assert await backend.entries("") == []
            fence = backend._keys.raw(f"./line/{session.id:x}")
            found = await backend._calls.range(m.RangeRequest(key=fence), "the fence")
            assert [each.lease for each in found.kvs] == [session.id]
            await session.close()
            assert not (await backend._calls.range(m.RangeRequest(key=fence), "the fence")).kvs
            assert not backend._lines._lines

    asyncio.run(story())


def test_nothing_is_remembered_of_lines_in_which_nobody_stands(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            assert isinstance(backend, EtcdBackend)
            session = await backend.open_session(10.0)
            for number in range(5):
                mark = uuid4().hex
                await backend.enter(f"lines/{number}", session, mark, b"", Kind.READER, Layout.KAZOO)
                await backend.leave(f"lines/{number}", session, mark)
            assert backend._lines._lines == {session.id: {}}

    asyncio.run(story())


def test_every_key_below_stands_in_the_line_in_the_order_in_which_it_came(place: Place) -> None:
    strangers = [b"line/694d8f4c1b2a0d07", b"line/x/y", b"line//odd", b"line/\xff"]

    async def story() -> None:
        async with place.backend() as backend, EtcdChannel([place.service.address]) as channel:
            assert isinstance(backend, EtcdBackend)
            session = await backend.open_session(10.0)
            root = place.root.encode() + b"/"
            for key in (*strangers, b"line", b"line-", b"linea/b"):
                await channel.call(PUT, m.PutRequest(key=root + key))
            marks = [uuid4().hex, uuid4().hex]
            await enter(backend, session, marks[0], Kind.READER)
            await enter(backend, session, marks[1])
            await channel.call(PUT, m.PutRequest(key=root + strangers[0], value=b"again"))
            line = await backend.line("line", Layout.KAZOO)
            assert [each.mark for each in line[:3]] == ["694d8f4c1b2a0d07", "x/y", "/odd"]
            assert line[3].mark.encode("utf-8", "surrogateescape") == b"\xff"
            assert [(each.mark, each.kind) for each in line[4:]] == [
                (marks[0], Kind.READER),
                (marks[1], Kind.WRITER),
            ]
            assert [each.created for each in line] == sorted({each.created for each in line})

    asyncio.run(story())


def test_of_one_session_who_asks_first_stands_first(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            session = await backend.open_session(10.0)
            marks = [uuid4().hex for _ in range(30)]
            assert isinstance(backend, EtcdBackend)
            await asyncio.gather(*[enter(backend, session, mark) for mark in marks])
            assert [each.mark for each in await backend.line("line", Layout.KAZOO)] == marks

    asyncio.run(story())


@pytest.mark.parametrize("leaves", ["before", "after"])
def test_a_departure_is_heard_of_where_nothing_before_it_is_kept(place: Place, leaves: str) -> None:
    async def story() -> None:
        async with place.backend() as backend, EtcdChannel([place.service.address]) as channel:
            assert isinstance(backend, EtcdBackend)
            session = await backend.open_session(10.0)
            mark = uuid4().hex
            await enter(backend, session, mark)
            mine = await backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO)
            if leaves == "before":
                await backend.leave("line", session, mark)
            last = await backend.commit([], [Put("x", b"")])
            assert last is not None
            await channel.call(COMPACT, m.CompactionRequest(last, physical=True))
            told = asyncio.ensure_future(backend.until_gone(mine.line[0], mine.mine, session))
            if leaves == "after":
                await asyncio.sleep(0.1)
                assert not told.done()
                await backend.leave("line", session, mark)
            async with asyncio.timeout(20):
                await told

    asyncio.run(story())


def test_who_comes_back_by_the_same_key_has_left_all_the_same(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, EtcdChannel([place.service.address]) as channel:
            assert isinstance(backend, EtcdBackend)
            session = await backend.open_session(10.0)
            key = place.root.encode() + b"/line/694d8f4c1b2a0d07"
            await channel.call(PUT, m.PutRequest(key=key))
            mine = await backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO)
            told = asyncio.ensure_future(backend.until_gone(mine.line[0], mine.mine, session))
            await channel.call(PUT, m.PutRequest(key=key, value=b"still there"))
            await asyncio.sleep(0.1)
            assert not told.done()
            await channel.call(DELETE, m.DeleteRangeRequest(key=key))
            await channel.call(PUT, m.PutRequest(key=key))
            async with asyncio.timeout(20):
                await told
            line = await backend.line_before("line", Layout.KAZOO, mine.mine, session)
            assert [each.key for each in line] == [mine.mine.key]

    asyncio.run(story())
