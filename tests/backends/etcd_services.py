"""Who speaks etcd's protocol here: a real one in two versions, and a node of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agreed.backends import etcd
from agreed.backends.etcd import EtcdBackend
from tests.acceptance.etcd.ensemble import EtcdEnsemble, EtcdFace, debian


class EtcdSpeaking:
    """A service of `tests.backends.conftest`."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.shortest_ttl_s = 2.0

    async def connect(
        self, address: str, root: str, *, session_timeout_s: float, request_timeout_s: float
    ) -> EtcdBackend:
        return await etcd.connect(f"etcd://{address}/{root}", request_timeout_s=request_timeout_s)


@pytest.fixture(scope="session")
def etcd_server() -> Iterator[EtcdSpeaking]:
    with EtcdEnsemble(1) as ensemble:
        yield EtcdSpeaking("etcd", ensemble.etcd_addresses[0])


@pytest.fixture(scope="session")
def older_etcd_server() -> Iterator[EtcdSpeaking]:
    with EtcdEnsemble(1, debian()) as ensemble:
        yield EtcdSpeaking("etcd 3.4", ensemble.etcd_addresses[0])


@pytest.fixture(scope="session")
def agreed_etcd_node() -> Iterator[EtcdSpeaking]:
    with EtcdFace(1) as cluster:
        yield EtcdSpeaking("agreed by etcd", cluster.etcd_addresses[0])


ETCD_SERVICES = [
    pytest.param("agreed_etcd_node", id="agreed-etcd"),
    pytest.param("etcd_server", id="etcd", marks=pytest.mark.peer("etcd")),
]

OLDER_ETCD = pytest.param("older_etcd_server", id="etcd-3.4", marks=pytest.mark.peer("debian-etcd"))
