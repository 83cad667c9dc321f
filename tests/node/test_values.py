"""Each kind of value: what is taken, in the form it is kept in, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.node import values
from agreed.node.values import PeerAddress

TAKEN: list[tuple[Callable[[object], object], object, object]] = [
    (values.an_address, "2181", "127.0.0.1:2181"),
    (values.an_address, 2181, "127.0.0.1:2181"),
    (values.an_address, "0.0.0.0:2181", "0.0.0.0:2181"),
    (values.an_address, "node-1.example:7421", "node-1.example:7421"),
    (values.an_address, "[::1]:2181", "[::1]:2181"),
    (values.an_address_or_off, "off", None),
    (values.an_address_or_off, "", None),
    (values.an_address_or_off, "7", "127.0.0.1:7"),
    (values.a_switch, True, True),
    (values.a_switch, "on", True),
    (values.a_switch, "FALSE", False),
    (values.a_number(1), "100_000", 100_000),
    (values.a_number_or_none(1), "", None),
    (values.a_fraction, "0.05", 0.05),
    (values.a_fraction, 0, 0.0),
    (values.a_range, "500-1000", (500, 1000)),
    (values.a_range, [500, 1000], (500, 1000)),
    (values.one_of("text", "json"), "JSON", "json"),
    (values.some_words, "*", values.FOUR_LETTER_WORDS),
    (values.some_words, "srvr, ruok", ("ruok", "srvr")),
    (values.some_words, ["ruok"], ("ruok",)),
    (values.some_words, "", ()),
    (
        values.some_peers,
        "n1=7421;2181, n2=10.0.0.2:7421",
        {"n1": PeerAddress("127.0.0.1:7421", "127.0.0.1:2181"), "n2": PeerAddress("10.0.0.2:7421")},
    ),
    (values.some_peers, {"n1": "7421"}, {"n1": PeerAddress("127.0.0.1:7421")}),
    (values.some_peers, "", {}),
]

REFUSED: list[tuple[Callable[[object], object], object]] = [
    (values.an_address, "localhost"),
    (values.an_address, ":2181"),
    (values.an_address, "host:"),
    (values.an_address, "host:65536"),
    (values.an_address, "host:-1"),
    (values.an_address, "host:٢١"),
    (values.an_address, "::1:2181"),
    (values.a_name, ""),
    (values.a_name, "a b"),
    (values.a_name, "a=b"),
    (values.a_name, "-a"),
    (values.a_name, "n" * 64),
    (values.a_directory, ""),
    (values.a_switch, "maybe"),
    (values.a_number(1), 0),
    (values.a_number(1), True),
    (values.a_number(1), "1.5"),
    (values.a_number(1), "٣"),
    (values.a_number(0, 10), 11),
    (values.a_fraction, "0.5"),
    (values.a_fraction, "nan"),
    (values.a_fraction, "much"),
    (values.a_range, "500"),
    (values.a_range, "1000-500"),
    (values.a_range, "500-500"),
    (values.one_of("text"), "xml"),
    (values.some_words, "ruok,kill"),
    (values.some_peers, "n1"),
    (values.some_peers, "n1=7421,n1=7422"),
    (values.some_peers, "n1=7421,n2=7421"),
]


@pytest.mark.parametrize(("parse", "raw", "expected"), TAKEN)
def test_what_is_taken(parse: Callable[[object], object], raw: object, expected: object) -> None:
    assert parse(raw) == expected


@pytest.mark.parametrize(("parse", "raw"), REFUSED)
def test_what_is_refused_is_refused_with_a_sentence(parse: Callable[[object], object], raw: object) -> None:
    with pytest.raises(ValueError) as refusal:
        parse(raw)
    assert str(refusal.value)


def test_an_address_comes_apart() -> None:
    assert values.split_address("[fe80::1]:7421") == ("fe80::1", 7421)
    assert values.split_address("n1.example:7421") == ("n1.example", 7421)


@given(st.text(max_size=30))
def test_whatever_is_taken_as_an_address_can_be_taken_apart(text: str) -> None:
    try:
        address = values.an_address(text)
    except ValueError:
        return
    host, port = values.split_address(address)
    assert host
    assert 0 <= port < 65536
    assert values.an_address(address) == address
