"""What the values of knobs look like: each function reads one kind of value and names what is wrong with it.

All take what a flag, a variable or a TOML file holds (a string, or a number, list or table) and return the
value, or raise ValueError with a sentence for the operator.  `config.py` adds which knob it was, and where
it was set.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from agreed.types import NodeId

FOUR_LETTER_WORDS = (
    "conf", "cons", "crst", "dirs", "dump", "envi", "isro", "mntr",
    "ruok", "srst", "srvr", "stat", "wchc", "wchp", "wchs",
)  # fmt: skip
"""The plain-text questions a ZooKeeper server answers on its client port (those that make sense here)."""


class PeerAddress(NamedTuple):
    """Where a member's peers reach it, `host:port`, and what clients are told (`host:port`, or empty)."""

    address: str
    client_address: str = ""


def split_address(address: str) -> tuple[str, int]:
    """`host:port` taken apart: "127.0.0.1:2181" -> ("127.0.0.1", 2181), "[::1]:7" -> ("::1", 7).

    Raises ValueError for anything that is not an address."""
    host, colon, port = address.rpartition(":")
    if not colon or not host:
        raise ValueError(f"{address!r} is not host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{address!r}: an IPv6 host stands in brackets, [::1]:2181")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"{address!r}: {port!r} is not a port (0 to 65535)")
    return host, int(port)


def an_address(raw: object) -> str:
    text = str(raw).strip()
    if text.isascii() and text.isdigit():
        text = f"127.0.0.1:{text}"
    split_address(text)
    return text


def an_address_or_off(raw: object) -> str | None:
    return None if str(raw).strip().lower() in ("", "off", "none") else an_address(raw)


def a_name(raw: object) -> str:
    text = str(raw)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", text):
        raise ValueError(f"{text!r} is not a name: letters, digits, '.', '_' and '-', at most 63 of them")
    return text


def a_directory(raw: object) -> Path:
    if not str(raw):
        raise ValueError("is empty")
    return Path(str(raw)).expanduser()


def a_path(raw: object) -> Path | None:
    return Path(str(raw)).expanduser() if str(raw) else None


def a_text(raw: object) -> str | None:
    return str(raw) or None


def a_switch(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{raw!r} is neither true nor false")


def _number(raw: object) -> int:
    if isinstance(raw, bool) or not re.fullmatch(r"\s*-?\d[\d_]*\s*", str(raw), re.ASCII):
        raise ValueError(f"{raw!r} is not a whole number")
    return int(str(raw))


def a_number(low: int, high: int = 2**31 - 1) -> Callable[[object], int]:
    def parse(raw: object) -> int:
        number = _number(raw)
        if not low <= number <= high:
            raise ValueError(f"{number} is not between {low} and {high}")
        return number

    return parse


def a_number_or_none(low: int) -> Callable[[object], int | None]:
    within = a_number(low)
    return lambda raw: None if raw == "" else within(raw)


def a_fraction(raw: object) -> float:
    try:
        number = float(str(raw))
    except ValueError:
        raise ValueError(f"{raw!r} is not a number") from None
    if not 0 <= number < 0.5:
        raise ValueError(f"{number} is not between 0 and 0.5")
    return number


def a_range(raw: object) -> tuple[int, int]:
    """`500-1000`, or in TOML also [500, 1000]."""
    parts = raw if isinstance(raw, list | tuple) else str(raw).split("-")
    if len(parts) != 2:
        raise ValueError(f"{raw!r} is not a range such as 500-1000")
    low, high = _number(parts[0]), _number(parts[1])
    if not 0 < low < high:
        raise ValueError(f"{low}-{high} leaves nothing to chance: the same tie would repeat forever")
    return low, high


def one_of(*choices: str) -> Callable[[object], str]:
    def parse(raw: object) -> str:
        word = str(raw).strip().lower()
        if word not in choices:
            raise ValueError(f"{word!r} is none of {', '.join(choices)}")
        return word

    return parse


def some_words(raw: object) -> tuple[str, ...]:
    """`ruok,srvr`, `*` for all of them, nothing for none; in TOML also a list."""
    words = [str(word).strip() for word in (raw if isinstance(raw, list | tuple) else str(raw).split(","))]
    words = [word for word in words if word]
    if words == ["*"]:
        return FOUR_LETTER_WORDS
    for word in words:
        if word not in FOUR_LETTER_WORDS:
            raise ValueError(f"{word!r} is none of {', '.join(FOUR_LETTER_WORDS)}")
    return tuple(sorted(set(words)))


def some_urls(raw: object) -> tuple[str, ...]:
    """`http://10.0.0.1:2379,https://[::1]:2379`; in TOML also a list."""
    urls = [str(url).strip() for url in (raw if isinstance(raw, list | tuple) else str(raw).split(","))]
    for url in urls:
        scheme, separator, address = url.partition("://")
        if url and (scheme not in ("http", "https") or not separator):
            raise ValueError(f"{url!r} is not of the form http://host:port")
        if url:
            an_address(address)
    return tuple(url for url in urls if url)


def some_peers(raw: object) -> Mapping[NodeId, PeerAddress]:
    """`n1=127.0.0.1:7421;127.0.0.1:2181,n2=...`; in TOML also a table of the right-hand sides."""
    if isinstance(raw, Mapping):
        pairs = [(str(name), str(value)) for name, value in raw.items()]
    else:
        pairs = []
        for part in filter(None, (part.strip() for part in str(raw).split(","))):
            name, equals, value = part.partition("=")
            if not equals:
                raise ValueError(f"{part!r} is not name=host:port")
            pairs.append((name.strip(), value))
    peers: dict[NodeId, PeerAddress] = {}
    for name, value in pairs:
        address, _, client = value.partition(";")
        if a_name(name) in peers:
            raise ValueError(f"{name} is named twice")
        peers[name] = PeerAddress(an_address(address), an_address(client) if client.strip() else "")
    if len({peer.address for peer in peers.values()}) < len(peers):
        raise ValueError("two members have the same address")
    return peers
