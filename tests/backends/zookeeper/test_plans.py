"""Which multi a commit is, and what is known of one that nobody answered."""

from __future__ import annotations

import pytest

from agreed.backends.contract import Absent, At, Change, Delete, Guard, Put, Stands
from agreed.backends.errors import Unsupported
from agreed.backends.zookeeper.plans import Look, Plan, fate, paths_to_look_at, session_of
from agreed.backends.zookeeper.tree import KEPT, Tree, above
from agreed.client.errors import NoChildrenForEphemerals, NotEmpty
from agreed.store.records import OPEN_ACL
from agreed.wire.zookeeper.messages import (
    CheckRequest,
    CreateMode,
    CreateRequest,
    DeleteRequest,
    Op,
    SetDataRequest,
    Stat,
)

TREE = Tree("/app")
SESSION = 77


def stat(
    created: int = 10,
    modified: int = 20,
    version: int = 3,
    children: int = 0,
    owner: int = 0,
    length: int = 1,
    children_zxid: int = 10,
) -> Stat:
    return Stat(created, modified, 0, 0, version, 0, 0, owner, length, children, children_zxid)


BARE = stat(version=0, length=0)
BARE_PARENT = stat(version=0, length=0, children=2)


class Held:
    """Stands for a session; only its being one and the same matters here."""


HELD = Held()


def look(thorough: bool = False, **found: Stat | None) -> Look:
    """`a__b` is the path of a/b; what is not named is not there, and its parents are."""
    paths = {f"/app/{key.replace('__', '/')}".encode(): stat for key, stat in found.items()}
    ancestors = {up: stat(children=1) for path in paths for up in above(path)} if thorough else {}
    return Look({**ancestors, **paths}, thorough)


def made(plan_look: Look, guards: list[Guard], changes: list[Change]) -> list[str] | None:
    plan = Plan(TREE, plan_look, OPEN_ACL)
    return [told(each) for each in plan.operations] if plan.make(guards, changes) else None


def told(operation: object) -> str:
    match operation:
        case CheckRequest(path, version):
            return f"check {path.decode()} {version}"
        case DeleteRequest(path, version):
            return f"delete {path.decode()} {version}"
        case SetDataRequest(path, data, version):
            return f"set {path.decode()} {(data or b'').decode()} {version}"
        case CreateRequest(path, b"", acl, mode, 0, op):
            assert acl is OPEN_ACL
            assert (op is Op.CREATE_CONTAINER) == (mode == CreateMode.CONTAINER)
            return f"create {path.decode()} {CreateMode(mode).name.lower()}"
    raise AssertionError(operation)


PUT = Put("k", b"v")
KEY = stat()

PLANS: list[tuple[str, Look, list[Guard], list[Change], list[str] | None]] = [
    ("absent, absent", look(k=None), [Absent("k")], [], ["create /app/k persistent", "delete /app/k -1"]),
    ("absent, bare", look(k=BARE), [Absent("k")], [], ["check /app/k 0"]),
    ("absent, there", look(k=KEY), [Absent("k")], [], None),
    ("at", look(k=KEY), [At("k", 20)], [], ["check /app/k 3"]),
    ("at another", look(k=KEY), [At("k", 19)], [], None),
    ("at, absent", look(k=None), [At("k", 20)], [], None),
    ("at, bare", look(k=BARE), [At("k", 20)], [], None),
    ("stands", look(k=KEY), [Stands("k", 10)], [], ["check /app/k 3"]),
    ("stands, made anew", look(k=KEY), [Stands("k", 9)], [], None),
    ("put, absent", look(k=None), [], [PUT], ["create /app/k persistent", "set /app/k v 0"]),
    ("put, first", look(k=None), [Absent("k")], [PUT], ["create /app/k persistent", "set /app/k v 0"]),
    (
        "put with a session",
        look(k=None),
        [],
        [Put("k", b"v", HELD)],  # type: ignore[arg-type]
        ["create /app/k ephemeral", "set /app/k v 0"],
    ),
    ("put over", look(k=KEY), [], [PUT], ["set /app/k v -1"]),
    ("put over, with a session", look(k=KEY), [], [Put("k", b"v", HELD)], ["set /app/k v -1"]),  # type: ignore[arg-type]
    ("put over, guarded", look(k=KEY), [At("k", 20)], [PUT], ["set /app/k v 3"]),
    (
        "put, bare",
        look(k=BARE),
        [Absent("k")],
        [PUT],
        ["delete /app/k 0", "create /app/k persistent", "set /app/k v 0"],
    ),
    (
        "put, a parent",
        look(k=BARE_PARENT),
        [],
        [PUT],
        ["set /app/k v 0", f"create /app/k/{KEPT} persistent"],
    ),
    ("delete", look(k=KEY), [], [Delete("k")], ["delete /app/k -1"]),
    ("delete, guarded", look(k=KEY), [Stands("k", 10)], [Delete("k")], ["delete /app/k 3"]),
    ("delete, absent", look(k=None), [], [Delete("k")], ["create /app/k persistent", "delete /app/k -1"]),
    ("delete, bare", look(k=BARE_PARENT), [], [Delete("k")], ["check /app/k 0"]),
    (
        "parents are containers",
        look(True, a=None, a__b=None, a__b__c=None),
        [],
        [Put("a/b/c", b"v")],
        [
            "create /app/a container",
            "create /app/a/b container",
            "create /app/a/b/c persistent",
            "set /app/a/b/c v 0",
        ],
    ),
    (
        "but for those which are put",
        look(True, a=None, a__b=None),
        [],
        [Put("a/b", b"v"), Put("a", b"w")],
        ["create /app/a persistent", "set /app/a w 0", "create /app/a/b persistent", "set /app/a/b v 0"],
    ),
    (
        "and come in the order in which they stand",
        look(True, a=None, a__b=None, a__b__c=None),
        [],
        [Put("a/b/c", b"v"), Put("a", b"w")],
        [
            "create /app/a persistent",
            "set /app/a w 0",
            "create /app/a/b container",
            "create /app/a/b/c persistent",
            "set /app/a/b/c v 0",
        ],
    ),
    (
        "absent, without parents",
        look(True, a=None, a__b=None),
        [Absent("a/b")],
        [],
        ["create /app/a persistent", "delete /app/a -1"],
    ),
    (
        "delete what others have below it together with it",
        look(True, a=stat(children=1), a__b=KEY),
        [],
        [Delete("a"), Delete("a/b")],
        ["delete /app/a/b -1", "delete /app/a -1"],
    ),
    (
        "delete what was kept",
        look(True, a=stat(children=1), **{f"a__{KEPT}": KEY}),
        [],
        [Delete("a")],
        [f"delete /app/a/{KEPT} -1", "delete /app/a -1"],
    ),
]


@pytest.mark.parametrize(("plan_look", "guards", "changes", "operations"), [
    pytest.param(*case, id=name) for name, *case in PLANS
])  # fmt: skip
def test_which_multi_it_is(
    plan_look: Look, guards: list[Guard], changes: list[Change], operations: list[str] | None
) -> None:
    assert made(plan_look, guards, changes) == operations


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(NotEmpty):
        made(look(True, a=stat(children=1)), [], [Delete("a")])
    with pytest.raises(NotEmpty):
        made(look(True, a=stat(children=2), a__b=KEY), [], [Delete("a"), Delete("a/b")])
    with pytest.raises(NoChildrenForEphemerals):
        made(look(k=BARE_PARENT), [], [Put("k", b"", HELD)])  # type: ignore[arg-type]
    with pytest.raises(Unsupported):
        session_of([Put("a", b"", HELD), Put("b", b"", Held())])  # type: ignore[arg-type]
    assert session_of([Put("a", b"", HELD), Put("b", b""), Put("c", b"", HELD), Delete("d")]) is HELD  # type: ignore[arg-type]


def test_a_first_look_is_believed_of_nothing_that_costs_something() -> None:
    """Who has children by a look that may be old is refused by the server, if he still has."""
    assert made(look(a=stat(children=1)), [], [Delete("a")]) == ["delete /app/a -1"]


def test_where_one_looks() -> None:
    guards: list[Guard] = [Absent("a/b")]
    changes: list[Change] = [Put("a/c", b"")]
    assert paths_to_look_at(TREE, guards, changes, False) == [b"/app/a/b", b"/app/a/c"]
    thorough = {b"/app/a/b", b"/app/a/c", b"/app/a", b"/app", b"/", f"/app/a/c/{KEPT}".encode()}
    assert set(paths_to_look_at(TREE, guards, changes, True)) == thorough


SEEN = 100
"""The newest zxid that was known when the multi was asked for."""

OLD = stat(10, 20)
NEW = stat(10, 101)
PARENT_OLD, PARENT_NEW = stat(children_zxid=100), stat(children_zxid=101)
OURS = stat(101, 101, owner=SESSION)
HELD_PUT = Put("p/k", b"v", HELD)  # type: ignore[arg-type]

FATES: list[tuple[str, Change, Stat | None, Stat | None, Stat, int | bool | None]] = [
    ("changed by somebody", Put("p/k", b"v"), OLD, NEW, PARENT_OLD, None),
    ("as it was", Put("p/k", b"v"), OLD, OLD, PARENT_OLD, False),
    ("gone", Put("p/k", b"v"), OLD, None, PARENT_NEW, None),
    ("still not there", Put("p/k", b"v"), None, None, PARENT_OLD, False),
    ("not there any more, perhaps", Put("p/k", b"v"), None, None, PARENT_NEW, None),
    ("made by somebody", Put("p/k", b"v"), None, stat(101, 101), PARENT_NEW, None),
    ("made by our session", HELD_PUT, None, OURS, PARENT_NEW, 101),
    ("made by another session", HELD_PUT, None, stat(101, 101, owner=SESSION + 1), PARENT_NEW, None),
    ("made by our session long ago", HELD_PUT, None, stat(99, 101, owner=SESSION), PARENT_NEW, None),
    ("deleted by somebody", Delete("p/k"), OLD, None, PARENT_NEW, None),
    ("not deleted", Delete("p/k"), OLD, OLD, PARENT_OLD, False),
    ("not deleted, but changed", Delete("p/k"), OLD, NEW, PARENT_OLD, False),
    ("deleted and made anew", Delete("p/k"), OLD, stat(101, 101), PARENT_NEW, None),
    ("was not there", Delete("p/k"), None, None, PARENT_OLD, None),
]


@pytest.mark.parametrize(("change", "before", "after", "parent", "became"), [
    pytest.param(*case, id=name) for name, *case in FATES
])  # fmt: skip
def test_what_has_become_of_it(
    change: Change, before: Stat | None, after: Stat | None, parent: Stat, became: int | bool | None
) -> None:
    path = TREE.path("p/k")
    old = Look({path: before}, False)
    new = Look({path: after, b"/app/p": parent, b"/app": PARENT_NEW, b"/": PARENT_NEW}, True)
    assert fate(TREE, [change], old, new, SEEN, SESSION) is became or became == 101
    if became == 101:
        assert fate(TREE, [change], old, new, SEEN, SESSION) == 101
        assert fate(TREE, [change], old, new, SEEN, 0) is None, "another of us may have made it"


def test_what_only_looks_was_never_done() -> None:
    path = TREE.path("k")
    assert fate(TREE, [], Look({path: OLD}, False), Look({path: NEW}, True), SEEN, SESSION) is False


def test_one_change_that_was_not_made_tells_of_all() -> None:
    a, b = TREE.path("a"), TREE.path("b")
    old = Look({a: OLD, b: OLD}, False)
    new = Look({a: NEW, b: OLD, b"/app": PARENT_OLD, b"/": PARENT_OLD}, True)
    changes = [Put("a", b""), Put("b", b"")]
    assert fate(TREE, changes, old, new, SEEN, SESSION) is False


def test_nothing_was_made_below_what_is_not_there() -> None:
    path = TREE.path("p/k")
    old = Look({path: None}, False)
    for above_all, became in ((PARENT_OLD, False), (PARENT_NEW, None)):
        new = Look({path: None, b"/app/p": None, b"/app": above_all, b"/": PARENT_NEW}, True)
        assert fate(TREE, [Put("p/k", b"")], old, new, SEEN, SESSION) is became
