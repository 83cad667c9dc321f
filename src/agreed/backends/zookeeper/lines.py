"""The names under which kazoo and Curator stand in line, and the order of a line.  Pure.

    kazoo       {mark}__lock__0000000007                        Lock, WriteLock, Election
                {mark}__rlock__0000000008                       ReadLock
    Curator     _c_{mark as a UUID}-lock-0000000007             InterProcessMutex, LeaderSelector
                _c_{mark as a UUID}-latch-0000000007            LeaderLatch
                _c_{mark as a UUID}-__WRIT__0000000007          InterProcessReadWriteLock
                _c_{mark as a UUID}-__READ__0000000008          its readers

Each recipe of Curator finds the number behind its own word only, and sorts names with another word behind all
of its own: two recipes in one directory do not exclude one another.  We see whoever stands there.

A mark is 32 hexadecimal digits (what `uuid4().hex` is, which is what kazoo takes as well).  The number is the
parent's, and grows with every child of it, so it is the order in which they came.  It is one of 32 bits and
goes on at -2147483648 behind 2147483647; kazoo and Curator then sort by the text and let newcomers pass.
Here a number is before another one if it is less than half a circle behind it, which is right for any line
whose first and last came within two thousand million children of each other.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from agreed.backends.contract import Kind, Layout, Place
from agreed.backends.zookeeper.tree import below

_WORDS: Final = {
    Layout.KAZOO: ("__lock__", "__rlock__"),
    Layout.CURATOR: ("lock-", "__READ__"),
    Layout.CURATOR_LATCH: ("latch-", "__READ__"),
    Layout.CURATOR_READ_WRITE: ("__WRIT__", "__READ__"),
}
"""Of writers and of readers."""

_READERS: Final = frozenset(reader for _, reader in _WORDS.values())

_KAZOO: Final = re.compile(r"(?P<before>.*)(?P<use>__lock__|__rlock__)(?P<number>-?\d{9,10})", re.DOTALL)
_CURATOR: Final = re.compile(
    r"(?P<before>.*)-(?P<use>lock-|latch-|__READ__|__WRIT__)(?P<number>-?\d{9,10})", re.DOTALL
)

_MARK: Final = re.compile(r"[0-9a-f]{32}")
_PROTECTION: Final = re.compile(r"_c_([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})")

_CIRCLE: Final = 1 << 32


class Contender(NamedTuple):
    """`mark` is empty where the name has none; `name` is that of the node."""

    number: int
    name: str
    mark: str
    kind: Kind


def prefix(layout: Layout, kind: Kind, mark: str) -> str:
    """What stands before the number."""
    word = _WORDS[layout][kind is Kind.READER]
    return f"{mark}{word}" if layout is Layout.KAZOO else f"{_protection(mark)}-{word}"


def _protection(mark: str) -> str:
    return f"_c_{mark[:8]}-{mark[8:12]}-{mark[12:16]}-{mark[16:20]}-{mark[20:]}"


@functools.lru_cache(maxsize=4096)
def contender(layout: Layout, name: str) -> Contender | None:
    """None: nobody who stands in line by this layout.  Kept, because everybody in a line reads all of it
    several times."""
    found = (_KAZOO if layout is Layout.KAZOO else _CURATOR).fullmatch(name)
    if found is None:
        return None
    kind = Kind.READER if found["use"] in _READERS else Kind.WRITER
    return Contender(int(found["number"]), name, _mark_in(layout, found["before"]), kind)


def _mark_in(layout: Layout, before: str) -> str:
    if layout is Layout.KAZOO:
        return before if _MARK.fullmatch(before) else ""
    found = _PROTECTION.fullmatch(before)
    return "".join(found.groups()) if found else ""


def marked(names: Iterable[str], mark: str) -> list[str]:
    """Those whose makers were given this mark, whatever the layout."""
    beginnings = f"{mark}__", f"{_protection(mark)}-"
    return [name for name in names if name.startswith(beginnings)]


def never_comes_again(name: str) -> bool:
    """A node with a mark and a number: once it is gone, nobody makes it anew."""
    families = (Layout.KAZOO, Layout.CURATOR)
    return any(found is not None and found.mark for found in (contender(each, name) for each in families))


def in_order(contenders: Iterable[Contender]) -> list[Contender]:
    found = sorted(contenders)
    if found and found[-1].number - found[0].number >= _CIRCLE // 2:
        found.sort(key=functools.cmp_to_key(_compare))
    return found


def _compare(one: Contender, other: Contender) -> int:
    ahead = (one.number - other.number) % _CIRCLE
    return ahead - _CIRCLE if ahead >= _CIRCLE // 2 else ahead


def up_to(key: str, line: tuple[Place, ...]) -> tuple[Place, ...]:
    """With that one as the last; nobody where it is not in it."""
    return next((line[: index + 1] for index, place in enumerate(line) if place.key == key), ())


def places(directory: str, layout: Layout, names: Iterable[str]) -> tuple[Place, ...]:
    found = (contender(layout, name) for name in names)
    return tuple(
        Place(below(directory, each.name), each.mark or each.name, each.kind)
        for each in in_order(each for each in found if each is not None)
    )
