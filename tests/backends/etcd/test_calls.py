"""What the statuses of an etcd mean, and what is asked of it: errors, URLs, users and what they may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest

from agreed.backends.contract import Absent, At, Delete, Guard, Kind, Layout, Put, Stands
from agreed.backends.etcd import EtcdBackend, connect
from agreed.backends.etcd.backend import parse_url
from agreed.backends.etcd.calls import failure
from agreed.client import errors
from agreed.client.etcd_channel import REFUSALS, CallFailed, EtcdChannel
from agreed.errors import ConfigurationError
from agreed.wire.etcd import messages as m
from agreed.wire.grpc.status import Code, Status
from tests.acceptance.etcd.ensemble import EtcdEnsemble, EtcdFace
from tests.backends.conftest import Place
from tests.backends.etcd_services import ETCD_SERVICES

STATUSES: list[tuple[Code, str, type[errors.ClientError] | None]] = [
    (Code.UNAVAILABLE, "the connection was lost", errors.ConnectionLost),
    (Code.UNAVAILABLE, "etcdserver: leader changed", errors.ConnectionLost),
    (Code.UNAVAILABLE, "etcdserver: request timed out", errors.TimedOut),
    (Code.DEADLINE_EXCEEDED, "no answer in time", errors.TimedOut),
    (Code.UNKNOWN, "context deadline exceeded", errors.TimedOut),
    (Code.CANCELLED, "", errors.ConnectionLost),
    (Code.NOT_FOUND, "etcdserver: requested lease not found", errors.SessionExpired),
    (Code.PERMISSION_DENIED, "etcdserver: permission denied", errors.NoAuth),
    (Code.INVALID_ARGUMENT, "etcdserver: user name is empty", errors.NoAuth),
    (Code.INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password", None),
    (Code.UNAUTHENTICATED, "etcdserver: invalid auth token", None),
    (Code.INVALID_ARGUMENT, "etcdserver: request is too large", errors.TooLarge),
    (Code.RESOURCE_EXHAUSTED, "grpc: received message larger than max (3 vs. 2)", errors.TooLarge),
    (Code.INVALID_ARGUMENT, "etcdserver: too many operations in txn request", errors.TooLarge),
    (Code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", errors.QuotaExceeded),
    (Code.UNKNOWN, "etcdserver: too many requests", errors.Throttled),
    (Code.UNIMPLEMENTED, "unknown method", errors.NotSupported),
    (Code.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request", errors.BadArguments),
    (Code.DATA_LOSS, "etcdserver: corrupt cluster", errors.UnknownAnswer),
]


@pytest.mark.parametrize(("code", "text", "expected"), STATUSES)
@pytest.mark.parametrize("surely_not_done", [True, False])
@pytest.mark.parametrize("changes", [True, False])
def test_each_status_is_one_of_the_errors_of_all(
    code: Code, text: str, expected: type[errors.ClientError] | None, surely_not_done: bool, changes: bool
) -> None:
    called = CallFailed("/etcdserverpb.KV/Txn", Status(code, text), surely_not_done=surely_not_done)
    found = failure(called, "a/key", changes=changes)
    if code in REFUSALS and changes and not surely_not_done and expected not in (None, errors.SessionExpired):
        expected = errors.UnknownAnswer  # the code is ours: what the server said could not be taken
    assert type(found) is (expected or errors.AuthenticationFailed)
    if isinstance(found, errors.ConnectionLost | errors.TimedOut):
        assert found.maybe == (changes and not surely_not_done)
    elif not isinstance(found, errors.UnknownAnswer):
        assert found.surely_not_done


@pytest.mark.parametrize(
    ("url", "servers", "path"),
    [
        ("etcd://h", ["h:2379"], ""),
        ("etcd://h/", ["h:2379"], ""),
        ("etcd://h:1,[::1]:2/app/", ["h:1", "[::1]:2"], "app"),
        ("etcd+tls://h//app", ["h:2379"], "/app"),
    ],
)
def test_a_url_says_where_and_below_what(url: str, servers: list[str], path: str) -> None:
    where, before_keys = parse_url(url)
    assert ([str(each) for each in where.servers], before_keys) == (servers, path)


@pytest.mark.parametrize("url", ["zk://h", "etcd:/h", "etcd://", "etcd://h:99999", "etcd://h///a"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_url(url)


@pytest.fixture(params=ETCD_SERVICES)
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.getfixturevalue(request.param), f"calls-{uuid4().hex}")


def test_keys_are_what_the_path_says(place: Place) -> None:
    async def story() -> None:
        address, root = place.service.address, place.root
        async with EtcdChannel([address]) as channel:
            for path, raw in ((f"/{root}", f"{root}/a/b"), (f"//{root}", f"/{root}/a/b"), ("", "a/b")):
                backend = await connect(f"etcd://{address}{path}")
                await backend.commit([], [Put("a/b", b"")])
                reply = await channel.call("/etcdserverpb.KV/Range", m.RangeRequest(key=raw.encode()))
                assert reply.count == 1, raw
                assert "a" in await backend.names("")
                await backend.commit([], [Delete("a/b")])
                await backend.close()

    asyncio.run(story())


def test_what_is_large_and_perhaps_there_is_put_in_one_request(place: Place) -> None:
    """Where it is not known whether the key is there the value would go over the wire twice."""

    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            session = await backend.open_session(10.0)
            large = bytes(backend.capabilities.value_bytes)
            assert await backend.commit([], [Put("k", large, session)]) is not None
            entry = await backend.get("k")
            assert entry is not None
            assert entry.owner == session.id
            assert await other.commit([], [Put("k", large[1:])]) is not None
            changed = await backend.get("k")
            assert changed is not None
            assert (changed.owner, changed.created, len(changed.value)) == (
                session.id,
                entry.created,
                len(large) - 1,
            )
            assert await other.commit([Absent("k")], [Put("x", large)]) is None
            guards: list[Guard] = [At("k", changed.version), Stands("k", entry.created)]
            assert await other.commit(guards, [Put("x", large)]) is not None
            with pytest.raises(errors.TooLarge):
                await other.commit([], [Put("x", large + b"1")])
            await backend.commit([], [Delete("k"), Delete("x")])

    asyncio.run(story())


def test_guards_alone_tell_how_it_is(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            revision = await backend.commit([], [Put("k", b"")])
            assert await backend.commit([Absent("k")], []) is None
            assert await backend.commit([Absent("x")], []) == revision
            assert await backend.commit([], []) == revision

    asyncio.run(story())


# --- users --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["ours", pytest.param("etcd", marks=pytest.mark.peer("etcd"))])
def guarded(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address at which anna may touch what begins with "app/" and nothing else."""
    with EtcdEnsemble(1) if request.param == "etcd" else EtcdFace(1) as ensemble:
        [address] = ensemble.etcd_addresses
        asyncio.run(_with_users(address))
        yield address


async def _with_users(address: str) -> None:
    async with EtcdChannel([address]) as channel:
        allowed = m.Permission(permType=m.PermissionType.READWRITE, key=b"app/", range_end=b"app0")
        for method, request in (
            ("RoleAdd", m.AuthRoleAddRequest(name="app")),
            ("RoleGrantPermission", m.AuthRoleGrantPermissionRequest(name="app", perm=allowed)),
            ("UserAdd", m.AuthUserAddRequest(name="root", password="r")),
            ("UserGrantRole", m.AuthUserGrantRoleRequest(user="root", role="root")),
            ("UserAdd", m.AuthUserAddRequest(name="anna", password="secret")),
            ("UserGrantRole", m.AuthUserGrantRoleRequest(user="anna", role="app")),
            ("AuthEnable", m.AuthEnableRequest()),
        ):
            await channel.call(f"/etcdserverpb.Auth/{method}", request)


def test_who_has_a_password_may_do_what_the_rules_allow(guarded: str) -> None:
    async def story() -> None:
        with pytest.raises(errors.AuthenticationFailed):
            await connect(f"etcd://{guarded}/app", user="anna", password="guessed")
        backend = await connect(f"etcd://anna:secret@{guarded}/app")
        session = await backend.open_session(10.0)
        await backend.commit([], [Put("k", b"1", session)])
        standing = await backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO)
        assert len(standing.line) == 1
        async with backend.changes("k", below=False) as changes:
            # A token that the server does not know (any more): streams and calls get another.
            backend._calls.channel._metadata = {"token": "forgotten.1"}
            assert backend._watches._stream is not None
            backend._watches._stream.close()
            async with asyncio.timeout(20):
                assert await changes.wait()
            await backend.commit([], [Put("k", b"2")])
            async with asyncio.timeout(20):
                assert await changes.wait()
        await _may_not(EtcdBackend(EtcdChannel([guarded], user="anna", password="secret"), "others"))
        await backend.close()

    asyncio.run(story())


async def _may_not(backend: EtcdBackend) -> None:
    for refused in (
        backend.get("k"),
        backend.names(""),
        # Without a guard it were a transaction in a transaction, which an etcd 3.5.1 lets everybody do.
        backend.commit([Absent("k")], [Put("k", b"")]),
        anext(backend.history("k", below=True, since=1)),
        backend.changes("k", below=True).__aenter__(),
    ):
        with pytest.raises(errors.NoAuth):
            await refused
    session = await backend.open_session(10.0)
    with pytest.raises(errors.NoAuth):
        await backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO)
    await backend.close()
