"""Sessions of an etcd: renewed by one stream for all, and never said to live when that is not certain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from agreed.backends.etcd import EtcdBackend, connect
from agreed.backends.etcd import sessions as sessions_module
from agreed.client import etcd_channel
from agreed.client.etcd_channel import EtcdChannel
from agreed.wire.etcd import messages as m
from agreed.wire.etcd.protobuf import decode, encode
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.events import Called, FromClient, Message
from tests.backends.etcd_services import ETCD_SERVICES
from tests.backends.leash import Leash
from tests.client.test_etcd_channel import Protocol, serving
from tests.node.running import DEADLINE_S

GRANT = "/etcdserverpb.Lease/LeaseGrant"
REVOKE = "/etcdserverpb.Lease/LeaseRevoke"
KEEP_ALIVE = "/etcdserverpb.Lease/LeaseKeepAlive"


class Leases:
    """An etcd that knows leases; `now` is the clock of the backend, `answers` whether renewals are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.answers = True
        self.ttl = 10
        self.granted: list[int] = []
        self.revoked: list[int] = []
        self.renewed: list[int] = []
        self.kept: list[Callable[[], None]] = []
        self.streams = 0
        monkeypatch.setattr(sessions_module, "seconds", lambda: self.now)

    def __call__(self, connection: Protocol, event: FromClient) -> None:
        if isinstance(event, Message):
            request = decode(m.LeaseKeepAliveRequest, event.data)
            self.renewed.append(request.ID)
            left = self.ttl if request.ID in self.granted and request.ID not in self.revoked else 0
            answer = encode(m.LeaseKeepAliveResponse(ID=request.ID, TTL=left))

            def say() -> None:
                connection.machine.send(event.stream, answer)
                connection.write()

            if self.answers:
                say()
            else:
                self.kept.append(say)
        elif isinstance(event, Called) and event.message is not None:
            reply = METHODS[event.path].reply()
            if event.path == GRANT:
                wanted = decode(m.LeaseGrantRequest, event.message)
                self.granted.append(wanted.ID)
                reply = m.LeaseGrantResponse(ID=wanted.ID, TTL=self.ttl)
            elif event.path == REVOKE:
                self.revoked.append(decode(m.LeaseRevokeRequest, event.message).ID)
            connection.machine.reply(event.stream, encode(reply))
        elif isinstance(event, Called):
            self.streams += 1


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def backend_of(*addresses: str) -> AsyncIterator[EtcdBackend]:
    backend = EtcdBackend(EtcdChannel(addresses), "", 5.0)
    try:
        yield backend
    finally:
        await backend.close()


def test_what_is_certain_counts_from_the_sending_of_what_was_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        leases = Leases(monkeypatch)
        async with serving(leases) as server, backend_of(server.address) as backend:
            session = await backend.open_session(9.5)
            assert session.ttl_s == 10.0
            assert session.remaining_s() == pytest.approx(9.5)
            leases.answers = False
            leases.now += 2.6
            session._time_passed()  # type: ignore[attr-defined]
            await until(lambda: leases.kept)
            leases.now += 1.0
            assert session.remaining_s() == pytest.approx(9.5 - 3.6)
            leases.kept.pop()()
            await until(lambda: session.remaining_s() > 6)
            assert session.remaining_s() == pytest.approx(9.5 - 1.0), "not from when the answer came"

    asyncio.run(story())


def test_who_was_stopped_for_longer_finds_it_over_before_any_timer_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        leases = Leases(monkeypatch)
        async with serving(leases) as server, backend_of(server.address) as backend:
            session = await backend.open_session(10.0)
            told: list[str] = []
            session.on_end(lambda: told.append("over"))
            leases.answers = False
            leases.now += 2.6
            session._time_passed()  # type: ignore[attr-defined]
            await until(lambda: leases.kept)
            leases.now += 60.0
            assert session.remaining_s() == 0
            assert session.ended
            leases.kept.pop()()  # a renewal that was answered after all revives nobody
            await asyncio.sleep(0.01)
            assert session.ended
            session._time_passed()  # type: ignore[attr-defined]
            assert told == ["over"]
            await until(lambda: leases.revoked == [session.id])

    asyncio.run(story())


def test_what_was_over_stays_over_though_the_server_renewed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody was told that it is over, and may have acted on it."""

    async def story() -> None:
        leases = Leases(monkeypatch)
        async with serving(leases) as server, backend_of(server.address) as backend:
            session = await backend.open_session(10.0)
            leases.answers = False
            leases.now += 9.0
            session._time_passed()  # type: ignore[attr-defined]
            await until(lambda: leases.kept)
            leases.now += 0.6
            assert session.ended
            leases.kept.pop()()
            await asyncio.sleep(0.02)
            assert session.ended

    asyncio.run(story())


def test_all_sessions_are_renewed_on_one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        leases = Leases(monkeypatch)
        async with serving(leases) as server, backend_of(server.address) as backend:
            sessions = [await backend.open_session(10.0) for _ in range(5)]
            await until(lambda: leases.streams)
            leases.renewed.clear()
            leases.now += 2.6
            for session in sessions:
                session._time_passed()  # type: ignore[attr-defined]
            await until(lambda: len(leases.renewed) == 5)
            assert leases.streams == 1
            await until(lambda: all(each.remaining_s() == pytest.approx(9.5) for each in sessions))

    asyncio.run(story())


def test_what_the_server_does_not_know_any_more_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        leases = Leases(monkeypatch)
        async with serving(leases) as server, backend_of(server.address) as backend:
            session = await backend.open_session(10.0)
            other = await backend.open_session(10.0)
            ended = asyncio.Event()
            session.on_end(ended.set)
            leases.granted.remove(session.id)
            leases.now += 2.6
            for each in (session, other):
                each._time_passed()  # type: ignore[attr-defined]
            async with asyncio.timeout(DEADLINE_S):
                await ended.wait()
            assert session.remaining_s() == 0
            assert not other.ended
            assert leases.revoked == []

    asyncio.run(story())


def test_a_server_that_says_nothing_is_left_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_channel, "PING_AFTER_S", 1000.0)  # by that it would be found out late

    async def story() -> None:
        silent, good = Leases(monkeypatch), Leases(monkeypatch)
        async with (
            serving(silent) as one,
            serving(good) as two,
            backend_of(one.address, two.address) as backend,
        ):
            silent.answers = False
            session = await backend.open_session(10.0)
            good.granted = silent.granted
            await until(lambda: silent.kept)
            for _ in range(2):
                good.now += 2.6
                session._time_passed()  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            await until(lambda: good.renewed)
            await until(lambda: session.remaining_s() == pytest.approx(9.5))
            assert silent.renewed == good.renewed == [session.id]

    asyncio.run(story())


def test_a_grant_without_an_answer_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        leases = Leases(monkeypatch)
        hangs_up = True

        def first_hangs_up(connection: Protocol, event: FromClient) -> None:
            nonlocal hangs_up
            leases(connection, event)
            if hangs_up and isinstance(event, Called) and event.path == GRANT:
                hangs_up = False
                connection.transport.abort()

        async with serving(first_hangs_up) as server, backend_of(server.address) as backend:
            session = await backend.open_session(10.0)
            lost, granted = leases.granted
            assert session.id == granted
            await until(lambda: leases.revoked == [lost])

    asyncio.run(story())


TTL_S = 8.0
"""It is renewed after a quarter of it, and so lives on also where the machine stands still for seconds."""


@pytest.mark.parametrize("service", ETCD_SERVICES)
def test_a_session_outlives_its_time_though_its_connection_is_cut(
    service: str, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue(service).address

    async def story() -> None:
        async with Leash(address) as leash:
            backend = await connect(f"etcd://{leash.address}")
            session = await backend.open_session(TTL_S)
            loop = asyncio.get_running_loop()
            ends_at = loop.time() + 1.2 * TTL_S
            while loop.time() < ends_at:
                await asyncio.sleep(0.5)
                leash.hold(b"")  # what is asked from now on is done and not answered
                await asyncio.sleep(0.02)
                leash.cut()
                assert not session.ended
            left = await backend._calls.read(
                "/etcdserverpb.Lease/LeaseTimeToLive", m.LeaseTimeToLiveRequest(ID=session.id), "a lease"
            )
            assert left.TTL >= 0
            await backend.close()
            async with EtcdChannel([address]) as channel:
                gone = await channel.call(
                    "/etcdserverpb.Lease/LeaseTimeToLive", m.LeaseTimeToLiveRequest(ID=session.id)
                )
                assert gone.TTL == -1

    asyncio.run(story())
