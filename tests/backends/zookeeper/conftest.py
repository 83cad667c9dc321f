"""What only the services that speak ZooKeeper's protocol are asked."""

from __future__ import annotations

import pytest

from tests.backends.conftest import ZOOKEEPER_SERVICES, Place, ZooKeeperSpeaking, numbers


@pytest.fixture(params=ZOOKEEPER_SERVICES)
def place(request: pytest.FixtureRequest) -> Place:
    service = request.getfixturevalue(request.param)
    assert isinstance(service, ZooKeeperSpeaking)
    return Place(service, f"test{next(numbers)}")
