"""What a path may look like: the rules of ZooKeeper's client and server, over bytes.

A path starts with `/`, does not end with one (but for the root), and has no empty, `.` or `..` component; no
character is one of U+0000-001F, 007F-009F, D800-F8FF, FFF0-FFFF.  A ZooKeeper server judges UTF-16 units, so
that everything above U+FFFF is refused there too (its surrogates are), and bytes that are not UTF-8 are
refused because they decode to U+FFFD.

The tree holds valid paths only.  So a path that is found there needs no check, and below a parent that is
found only the last name does: that is how the hot path avoids nearly all of this.
"""
from __future__ import annotations

import re
from typing import Final

ROOT: Final = b"/"
PLAIN: Final = bytes(code for code in range(0x20, 0x7F) if code != ord("/"))
"""What a name may be made of without a closer look: `not name.translate(None, PLAIN)`."""

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff\U00010000-\U0010ffff]")


def valid_name(name: bytes) -> bool:
    """Whether this may be one component of a path."""
    if not name or name == b"." or name == b"..":
        return False
    if not name.translate(None, PLAIN):
        return True
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return _FORBIDDEN.search(text) is None and b"/" not in name


def valid_path(path: bytes) -> bool:
    """Whether a key with this path could exist."""
    if path == ROOT:
        return True
    return path[:1] == b"/" and all(valid_name(name) for name in path[1:].split(b"/"))


def parent_of(path: bytes) -> bytes:
    """The parent's path of a valid path other than the root."""
    return path[: path.rfind(b"/")] or ROOT


def name_of(path: bytes) -> bytes:
    """The last component."""
    return path[path.rfind(b"/") + 1 :]
