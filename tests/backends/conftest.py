"""One body for each promise of the contract, and every backend under it.

    def test_what_is_put_is_there(place: Place) -> None:
        async def story() -> None:
            async with place.backend() as backend:
                ...
        asyncio.run(story())

`place` is a service that was started once for all tests, and a root of its own for this test: nothing that
another test left behind is seen.  A further backend is one more `Service` and one more name in `SERVICES`.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import pytest

from agreed.backends import zookeeper
from agreed.backends.contract import Backend, Put, Session
from agreed.backends.etcd import EtcdBackend
from agreed.backends.etcd.calls import Calls
from agreed.backends.zookeeper.backend import ZooKeeperBackend
from agreed.client import loop_thread
from agreed.client.errors import SessionExpired
from agreed.coordination.schemes import factory_of
from agreed.torture.processes import free_ports
from tests.acceptance.cluster import ZooKeeperEnsemble
from tests.backends.etcd_services import ETCD_SERVICES, agreed_etcd_node, etcd_server, older_etcd_server
from tests.backends.leash import Leash
from tests.node.running import running

__all__ = ["agreed_etcd_node", "etcd_server", "older_etcd_server"]


class Service(Protocol):
    name: str
    address: str
    """host:port of a server, for a `Leash`; empty where there is no socket."""
    shortest_ttl_s: float

    async def connect(
        self, address: str, root: str, *, session_timeout_s: float, request_timeout_s: float
    ) -> Backend:
        """`root` is a path without a slash at either end."""
        ...


class ZooKeeperSpeaking:
    def __init__(self, name: str, scheme: str, address: str, shortest_ttl_s: float) -> None:
        self.name = name
        self.scheme = scheme
        self.address = address
        self.shortest_ttl_s = shortest_ttl_s

    async def connect(
        self, address: str, root: str, *, session_timeout_s: float, request_timeout_s: float
    ) -> Backend:
        return await zookeeper.connect(
            f"{self.scheme}://{address}/{root}",
            session_timeout_s=session_timeout_s,
            request_timeout_s=request_timeout_s,
        )


class Embedded:
    """A node of this process; no two tests share a root, and all share the node."""

    address = ""
    shortest_ttl_s = 1.0

    def __init__(self, name: str, url: str) -> None:
        """The root of a client is put behind `url`."""
        self.name = name
        self._url = url

    async def connect(
        self, address: str, root: str, *, session_timeout_s: float, request_timeout_s: float
    ) -> Backend:
        url = self._url + root
        return await factory_of(url)(
            url,
            session_timeout_s=session_timeout_s,
            connect_timeout_s=request_timeout_s,
            request_timeout_s=request_timeout_s,
            user=None,
            password=None,
            ssl=None,
        )

    @contextlib.contextmanager
    def kept(self) -> Iterator[Service]:
        """While somebody is connected: a node with a directory ends with its last client."""
        thread = loop_thread.shared()
        keeper = thread.run(self.connect("", "kept", session_timeout_s=30.0, request_timeout_s=5.0))
        yield self
        thread.run(keeper.close())


@pytest.fixture(scope="session")
def memory_node() -> Service:
    return Embedded("memory", "memory://tests/")


@pytest.fixture(scope="session")
def file_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("backends")
    with Embedded("file", f"file://{directory}?root=").kept() as service:
        yield service


@pytest.fixture(scope="session")
def embedded_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("backends")
    [port] = free_ports(1)
    knobs = f"listen=127.0.0.1:{port}&min_session_timeout_ms=100"
    with Embedded("node", f"node://n1{directory}?{knobs}&root=").kept() as service:
        yield service


@pytest.fixture(scope="session")
def agreed_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    flags = ("--min-session-timeout-ms", "100")
    with running(tmp_path_factory.mktemp("backends"), *flags, size=1) as cluster:
        yield ZooKeeperSpeaking("agreed", "agreed", cluster.hosts, 1.0)


@pytest.fixture(scope="session")
def zookeeper_server() -> Iterator[Service]:
    with ZooKeeperEnsemble(1) as ensemble:
        yield ZooKeeperSpeaking("zookeeper", "zk", ensemble.hosts, 4.0)


ZOOKEEPER_SERVICES = [
    pytest.param("agreed_node", id="agreed"),
    pytest.param("zookeeper_server", id="zookeeper", marks=pytest.mark.peer("zookeeper")),
]

EMBEDDED_SERVICES = [
    pytest.param("memory_node", id="memory"),
    pytest.param("file_node", id="file"),
    pytest.param("embedded_node", id="node"),
]

SERVICES = [*EMBEDDED_SERVICES, *ZOOKEEPER_SERVICES, *ETCD_SERVICES]

with_connections_to_cut = pytest.mark.parametrize(
    "service", [*ZOOKEEPER_SERVICES, *ETCD_SERVICES], indirect=True
)

numbers = itertools.count(1)


async def owned(backend: Backend, key: str, ttl_s: float) -> Session:
    """A session to which the key belongs.  On a machine that stands still for a moment it may be over before
    it has put anything; then with the next one."""
    while True:
        session = await backend.open_session(ttl_s)
        try:
            await backend.commit([], [Put(key, b"", session)])
        except SessionExpired:
            continue
        return session


@contextlib.contextmanager
def in_peace(backend: Backend) -> Iterator[None]:
    """Calls that have a few tenths of a second have all the time meanwhile: what is only prepared does not
    fail because the machine stood still."""
    calls = backend._calls if isinstance(backend, EtcdBackend) else backend
    assert isinstance(calls, Calls | ZooKeeperBackend)
    usual_s, calls.request_timeout_s = calls.request_timeout_s, 30.0
    try:
        yield
    finally:
        calls.request_timeout_s = usual_s


class Place:
    """A root of a service that nobody else uses."""

    def __init__(self, service: Service, root: str) -> None:
        self.service = service
        self.root = root

    @property
    def speaks_zookeeper(self) -> bool:
        return isinstance(self.service, ZooKeeperSpeaking)

    def leash(self) -> Leash:
        """For a test that cuts connections (`with_connections_to_cut`)."""
        return Leash(self.service.address)

    @property
    def shortest_ttl_s(self) -> float:
        """For a test that waits for the end of a session."""
        return self.service.shortest_ttl_s

    @contextlib.asynccontextmanager
    async def backend(
        self,
        *,
        by: Leash | None = None,
        session_timeout_s: float = 10.0,
        request_timeout_s: float = 30.0,
    ) -> AsyncIterator[Backend]:
        """One more client, directly or by a leash."""
        address = self.service.address if by is None else by.address
        backend = await self.service.connect(
            address, self.root, session_timeout_s=session_timeout_s, request_timeout_s=request_timeout_s
        )
        try:
            yield backend
        finally:
            await backend.close()


@pytest.fixture(scope="session", params=SERVICES)
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def place(service: Service) -> Place:
    return Place(service, f"test{next(numbers)}")
