"""Where a service is, and as whom it is asked."""

from __future__ import annotations

import ssl

import pytest

from agreed.backends.url import ServiceUrl, parse
from agreed.client.url import Server
from agreed.errors import ConfigurationError

A, B = Server("a", 2181), Server("b", 99)
BY_DNS = Server("_zookeeper._tcp.example", 0)

URLS = [
    ("zk://a", ServiceUrl("zk", False, (A,), "", None, None)),
    ("zk://a,b:99/x/y/", ServiceUrl("zk", False, (A, B), "/x/y", None, None)),
    ("zk+tls://a", ServiceUrl("zk", True, (A,), "", None, None)),
    ("agreed+tls://me:pass@a,b:99/x", ServiceUrl("agreed", True, (A, B), "/x", "me", "pass")),
    ("zk://me@a", ServiceUrl("zk", False, (A,), "", "me", None)),
    ("zk://me:@a", ServiceUrl("zk", False, (A,), "", "me", "")),
    ("srv+zk://example", ServiceUrl("zk", False, (BY_DNS,), "", None, None, True)),
    ("zk://m%40e:p%3Aa%2Fs:s@a", ServiceUrl("zk", False, (A,), "", "m@e", "p:a/s:s")),
]


@pytest.mark.parametrize(("url", "meant"), URLS)
def test_what_a_url_means(url: str, meant: ServiceUrl) -> None:
    assert parse(url, ("zk", "agreed"), 2181) == meant


NAMES = [
    ("srv+agreed://example.org/x", "_agreed._tcp.example.org"),
    ("srv+agreed+tls://me:pass@example.org.", "_agreed-tls._tcp.example.org"),
    ("srv+zk://example", "_zookeeper._tcp.example"),
    ("srv+zk+tls://example", "_zookeeper-tls._tcp.example"),
    ("srv+zookeeper://example", "_zookeeper._tcp.example"),
    ("srv+etcd://service.consul", "_etcd-client._tcp.service.consul"),
    ("srv+etcd+tls://example", "_etcd-client-ssl._tcp.example"),
    ("srv+etcd+tls://_kv._prod.service.consul/x", "_kv._prod.service.consul"),
]


@pytest.mark.parametrize(("url", "name"), NAMES)
def test_whose_records_tell_the_servers(url: str, name: str) -> None:
    where = parse(url, ("zk", "zookeeper", "agreed", "etcd"), 2181)
    assert where.by_records
    assert where.servers == (Server(name, 0),)
    assert str(where.servers[0]) == name
    records = where.records(None)
    assert records is not None
    assert records.name == name


@pytest.mark.parametrize(
    "where",
    ["example:2181", "a,b", "[::1]", "_agreed.example", "_agreed._tcp", "_a._tcp._b", "a..b", ".", "a b"],
)
def test_the_records_of_one_name_and_no_port(where: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(f"srv+zk://me:secret@{where}/x", ("zk",), 2181)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    ["a", "etcd://a", "zk+ssl://a", "srv+etcd://a", "zk+srv://a", "srv+srv+zk://a",
     "zk://", "zk://@a", "zk://:secret@a", "zk://me:secret@a b"],
)
def test_what_is_none_says_so_without_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(url, ("zk", "agreed"), 2181)
    assert "secret" not in str(raised.value)


def test_tls_is_spoken_where_it_is_asked_for() -> None:
    given = ssl.create_default_context()
    plain, over_tls = parse("zk://a", ("zk",), 1), parse("zk+tls://a", ("zk",), 1)
    assert plain.context(None) is None
    assert plain.context(given) is over_tls.context(given) is given
    made = over_tls.context(None)
    assert made is not None
    assert made.check_hostname
