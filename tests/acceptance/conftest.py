"""What the acceptance tests have in common: one marker for the long one, and a second client."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from kazoo.client import KazooClient

from tests.acceptance.cluster import Node


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'kazoo_suite: minutes long; leave it out with -m "not kazoo_suite"')


@pytest.fixture
def other() -> Iterator[Callable[[Node], KazooClient]]:
    """Connects another client, to a node that lives."""
    clients: list[KazooClient] = []

    def connected(node: Node) -> KazooClient:
        client = KazooClient(node.address)
        client.start(60)
        clients.append(client)
        return client

    yield connected
    for client in clients:
        client.stop()
        client.close()
