"""Which URLs are taken, and how they are read."""
from __future__ import annotations

import pytest

from agreed.client.url import Server, parse
from agreed.errors import ConfigurationError

TAKEN = {
    "agreed://a:1,b:2,c/app": ((Server("a", 1), Server("b", 2), Server("c", 2181)), "/app"),
    "zk://zookeeper": ((Server("zookeeper", 2181),), ""),
    "agreed://127.0.0.1:2181/": ((Server("127.0.0.1", 2181),), ""),
    "agreed://[::1]:2181,[fe80::1]/a/b/": ((Server("::1", 2181), Server("fe80::1", 2181)), "/a/b"),
    "agreed://a:1, b:2": ((Server("a", 1), Server("b", 2)), ""),
}

NOT_TAKEN = [
    "", "a:1", "http://a:1", "agreed://", "agreed://a:1,,b:2", "agreed://a:0", "agreed://a:65536",
    "agreed://a:x", "agreed://user@a:1", "agreed://::1", "agreed://a:1//b", "agreed://a:1/b?c=d",
]  # fmt: skip


@pytest.mark.parametrize("url", TAKEN)
def test_taken(url: str) -> None:
    assert parse(url) == TAKEN[url]


@pytest.mark.parametrize("url", NOT_TAKEN)
def test_not_taken(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(url)


def test_an_address_of_version_six_is_shown_in_brackets() -> None:
    assert [str(each) for each in parse("agreed://[::1]:7,a:8").servers] == ["[::1]:7", "a:8"]
