"""The names of kazoo and Curator, and the order of those who stand behind one another."""

from __future__ import annotations

import random
import re
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kazoo.client import KazooClient
from kazoo.recipe.lock import Lock, ReadLock

from agreed.backends.contract import Kind, Layout, Place
from agreed.backends.zookeeper import lines
from agreed.backends.zookeeper.lines import Contender

MARK = "0123456789abcdef0123456789abcdef"
UUID_OF_MARK = "01234567-89ab-cdef-0123-456789abcdef"

NAMES = [
    (Layout.KAZOO, Kind.WRITER, f"{MARK}__lock__"),
    (Layout.KAZOO, Kind.READER, f"{MARK}__rlock__"),
    (Layout.CURATOR, Kind.WRITER, f"_c_{UUID_OF_MARK}-lock-"),
    (Layout.CURATOR_LATCH, Kind.WRITER, f"_c_{UUID_OF_MARK}-latch-"),
    (Layout.CURATOR_READ_WRITE, Kind.WRITER, f"_c_{UUID_OF_MARK}-__WRIT__"),
    (Layout.CURATOR_READ_WRITE, Kind.READER, f"_c_{UUID_OF_MARK}-__READ__"),
]


@pytest.mark.parametrize(("layout", "kind", "before"), NAMES)
def test_a_name_says_whose_it_is(layout: Layout, kind: Kind, before: str) -> None:
    assert lines.prefix(layout, kind, MARK) == before
    assert str(UUID(MARK)) == UUID_OF_MARK
    for number in (0, 7, 2**31 - 1, -1, -(2**31)):
        name = f"{before}{number:010d}"
        assert lines.contender(layout, name) == Contender(number, name, MARK, kind)
        assert lines.marked([name, "another"], MARK) == [name]
        assert lines.marked([name], uuid4().hex) == []
        assert lines.never_comes_again(name)
        other = Layout.CURATOR if layout is Layout.KAZOO else Layout.KAZOO
        assert lines.contender(other, name) is None


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        *(
            (layout, name)
            for layout in Layout
            for name in ("", "lock", "0000000001", "a-0000000001", "config")
        ),
        (Layout.KAZOO, f"{MARK}__lock__"),
        (Layout.KAZOO, f"{MARK}__lock__12345"),
        (Layout.KAZOO, f"{MARK}__lock__0000000001x"),
        (Layout.KAZOO, f"{MARK}__lock__0000000001\n"),
        (Layout.CURATOR, f"_c_{UUID_OF_MARK}-other-0000000001"),
    ],
)
def test_what_else_is_in_a_directory_stands_in_no_line(layout: Layout, name: str) -> None:
    assert lines.contender(layout, name) is None


@pytest.mark.parametrize(
    ("layout", "name", "kind"),
    [
        (Layout.KAZOO, "worker-7__lock__0000000003", Kind.WRITER),
        (Layout.CURATOR, f"_c_{UUID_OF_MARK}-latch-0000000003", Kind.WRITER),
        (Layout.CURATOR, f"_c_{UUID_OF_MARK}-__WRIT__0000000003", Kind.WRITER),
        (Layout.CURATOR, "unprotected-lock-0000000003", Kind.WRITER),
    ],
)
def test_strangers_stand_in_it_too(layout: Layout, name: str, kind: Kind) -> None:
    found = lines.contender(layout, name)
    assert found is not None
    assert (found.number, found.kind) == (3, kind)
    [place] = lines.places("d", layout, [name])
    assert place == Place(f"d/{name}", found.mark or name, kind)


def test_kazoo_itself_takes_our_names_for_its_own() -> None:
    """By the pattern with which it looks for those before it."""

    client = KazooClient()
    for lock, kind in ((Lock(client, "/l"), Kind.WRITER), (ReadLock(client, "/l"), Kind.READER)):
        assert re.fullmatch(r"[0-9a-f]{32}", lock.prefix[:32])
        assert lines.prefix(Layout.KAZOO, kind, lock.prefix[:32]) == lock.prefix
        ours = lines.prefix(Layout.KAZOO, Kind.WRITER, MARK) + "0000000012"
        found = lock._contenders_re.search(ours)
        assert found is not None
        assert found.group(1) == "0000000012"


@given(st.integers(-(2**31), 2**31 - 1), st.integers(1, 40), st.randoms())
def test_the_order_goes_on_where_the_numbers_begin_again(start: int, many: int, dice: random.Random) -> None:
    numbers = [(start + step + 2**31) % 2**32 - 2**31 for step in range(many)]
    names = [f"{uuid4().hex}__{dice.choice(['lock', 'rlock'])}__{number:010d}" for number in numbers]
    mixed = [*names, "other", "config"]
    dice.shuffle(mixed)
    assert [place.key for place in lines.places("d", Layout.KAZOO, mixed)] == [f"d/{name}" for name in names]
