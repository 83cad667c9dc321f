"""How the keys of the contract are called in an etcd, where they are bytes and there are no directories.

    etcd://127.0.0.1:2379/app       "orders/42" is b"app/orders/42"
    etcd://127.0.0.1:2379//app      "orders/42" is b"/app/orders/42": many name their keys like this
    etcd://127.0.0.1:2379           "orders/42" is b"orders/42"

Below a directory are all the keys that begin with its name and a slash.  Others may have made keys there
which have no name in the contract: an empty name between two slashes, a "." or "..", bytes that are no text.
They are not listed; only who stands in a line is seen however it is called, since it is before us all the
same.  (Such a text can be turned back into its bytes: what is no UTF-8 stands in it as lone surrogates.)
"""

from __future__ import annotations

from typing import NamedTuple

from agreed.backends.contract import Entry
from agreed.client.errors import BadArguments
from agreed.wire.etcd.messages import KeyValue

_NOT_NAMES = frozenset({"", ".", ".."})


class Range(NamedTuple):
    """As etcd has them: `end` is behind the last; empty for one key."""

    start: bytes
    end: bytes


def is_name(text: str) -> bool:
    return text not in _NOT_NAMES and not any("\ud800" <= letter <= "\udfff" for letter in text)


def is_key(text: str) -> bool:
    return all(is_name(name) for name in text.split("/"))


class Keys:
    """`path` is what stands behind the slash of the URL."""

    def __init__(self, path: str) -> None:
        path = path.rstrip("/")
        self._root = f"{path}/".encode() if path else b""

    def raw(self, key: str) -> bytes:
        return self._root + key.encode("utf-8", "surrogateescape")

    def text(self, raw: bytes) -> str:
        return raw[len(self._root) :].decode("utf-8", "surrogateescape")

    def prefix(self, directory: str) -> bytes:
        """With which everything below it begins; "" is the path of the URL itself."""
        return self.raw(directory) + b"/" if directory else self._root

    def below(self, directory: str) -> Range:
        prefix = self.prefix(directory)
        return Range(prefix, _behind_all_below(prefix)) if prefix else Range(b"\0", b"\0")

    def watched(self, key: str, *, below: bool) -> Range:
        """One range for a key and all below it: it holds what else begins with its name and sorts before the
        slash ("a-b" is between "a" and "a/b"), and whoever watches has to look (`concerns`)."""
        if not key:
            return self.below(key)
        return Range(self.raw(key), _behind_all_below(self.prefix(key)) if below else b"")

    def concerns(self, raw: bytes, key: str, *, below: bool) -> bool:
        if not key:
            return raw.startswith(self._root)
        return raw == self.raw(key) or (below and raw.startswith(self.prefix(key)))

    def entry(self, found: KeyValue) -> Entry:
        return Entry(
            self.text(found.key),
            found.value,
            found.mod_revision,
            found.create_revision,
            found.mod_revision,
            found.lease,
        )


def _behind_all_below(prefix: bytes) -> bytes:
    """`prefix` ends with a slash, and "0" is what follows the slash."""
    return prefix[:-1] + b"0"


def raise_if_no_key(key: str, *, or_all: bool = False) -> None:
    """`or_all`: the empty one is the path of the URL itself.  Raises BadArguments."""
    if not (is_key(key) or (or_all and not key)):
        raise BadArguments(f"{key!r}: names between slashes, none of them empty, '.' or '..'")
