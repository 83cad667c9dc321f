"""Keys and nodes: where a key stands in the tree, and which node of the tree is a key.

A znode needs a parent and a key does not, so parents are made as they are needed, as containers: they go by
themselves some time after their last child has gone.  Nobody has put anything into such a node, and it is no
key.  The server does not tell which node is a container, so this is the rule:

    a node with version 0, without data and without an owner is no key

It also covers the parents that other programs made (kazoo's `ensure_path`).  For it to be true of nobody's
key, what is put by us is made empty and then set, in one multi: its version is 1 at least, also where its
value is empty.

A container with a value would still go with its last child, and the value with it.  So where a value is put
into a node that has children already, a child of ours that stays (`KEPT`) is made below it; where it has
none, the node is made anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agreed.backends.contract import Entry
from agreed.client.errors import BadArguments
from agreed.wire.zookeeper.messages import Stat

KEPT: Final = "_agreed_kept"
"""The name of the child that keeps a container from going while it has a value."""

NO_NAMES: Final = frozenset({"", ".", "..", KEPT})

SYSTEM: Final = "zookeeper"
"""The server's own node, below the root of all roots."""


class Tree:
    """`root`: what stands before each key; "" or "/app"."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, key: str) -> bytes:
        """Raises BadArguments for a key that is none."""
        if any(part in NO_NAMES for part in key.split("/")):
            raise BadArguments(key)
        try:
            return f"{self.root}/{key}".encode()
        except UnicodeEncodeError:
            raise BadArguments(ascii(key)) from None

    def directory(self, directory: str) -> bytes:
        """The same; "" is the root."""
        return self.path(directory) if directory else self.root.encode() or b"/"

    def key(self, path: str) -> str | None:
        """Whose path that is; None: nobody's key."""
        key = path[len(self.root) + 1 :]
        is_system = not self.root and key.partition("/")[0] == SYSTEM
        return None if is_system or any(part in NO_NAMES for part in key.split("/")) else key

    def is_hidden(self, directory: str, name: str) -> bool:
        """A child that is nobody's key."""
        return name == KEPT or (name == SYSTEM and not directory and not self.root)


def below(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def is_bare(stat: Stat) -> bool:
    """It is no key, only perhaps the parent of some."""
    return stat.version == 0 and stat.data_length == 0 and stat.ephemeral_owner == 0


def entry_of(key: str, value: bytes, stat: Stat) -> Entry:
    """The zxid of the last change serves as the version: unlike the number which ZooKeeper calls so, it is
    another one for a key that was deleted and made anew."""
    return Entry(key, value, stat.modified_zxid, stat.created_zxid, stat.modified_zxid, stat.ephemeral_owner)


def kept_below(path: bytes) -> bytes:
    return path + b"/" + KEPT.encode()


def above(path: bytes) -> Iterator[bytes]:
    """The ancestors, nearest first, without the root of all roots."""
    while (cut := path.rindex(b"/")) > 0:
        path = path[:cut]
        yield path
