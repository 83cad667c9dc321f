"""The tree of znodes: what it may say, and what it may not, rule by rule."""
from __future__ import annotations

import pytest

from agreed.check.models import Tree
from agreed.errors import MalformedInput
from tests.check.judged import holds
from tests.check.told import told

A, SEQUENTIAL = '{"path": "/a"}', '{"path": "/a/n-", "sequential": True}'
MINE = '{"path": "/a", "session": 7}'

STORIES = {
    "a node is made": (f"a 0-1 create {A} -> '/a' \n b 2-3 exists '/a' -> {{'version': 0}}", True),
    "it was not made": (f"a 0-1 create {A} -> '/a' \n b 2-3 exists '/a' !NoNode", False),
    "it is made twice": (f"a 0-1 create {A} \n b 2-3 create {A}", False),
    "the second is told": (f"a 0-1 create {A} \n b 2-3 create {A} !NodeExists", True),
    "nobody knows of the first": (f"a 0- create {A} \n b 2-3 create {A} !NodeExists", True),
    "it was there for no reason": (f"b 2-3 create {A} !NodeExists", False),
    "below nothing": ("a 0-1 create {'path': '/a/b'} !NoNode", True),
    "below nothing, and made": ("a 0-1 create {'path': '/a/b'} -> '/a/b'", False),
    "data and versions": (
        """
        a 0-1 create {"path": "/a", "data": "x"}
        a 2-3 set {"path": "/a", "data": "y"} -> {"version": 1}
        b 4-5 get "/a" -> {"data": "y", "version": 1}
        """,
        True,
    ),
    "an old version": (
        f"a 0-1 create {A} \n a 2-3 set {A} -> {{'version': 1}} \n b 4-5 get '/a' -> {{'version': 0}}",
        False,
    ),
    "a version is asked for": (f"a 0-1 create {A} \n a 2-3 set {{'path': '/a', 'version': 0}}", True),
    "and is another": (f"a 0-1 create {A} \n a 2-3 set {{'path': '/a', 'version': 1}} !BadVersion", True),
    "and is not": (f"a 0-1 create {A} \n a 2-3 set {{'path': '/a', 'version': 0}} !BadVersion", False),
    "of two that expect one version one succeeds": (
        f"""
        a 0-1 create {A}
        b 2-9 set {{'path': '/a', 'version': 0}}
        c 2-9 set {{'path': '/a', 'version': 0}}
        """,
        False,
    ),
    "a node with children stays": (
        f"a 0-1 create {A} \n a 2-3 create {{'path': '/a/b'}} \n b 4-5 delete {A} !NotEmpty",
        True,
    ),
    "and does not go": (f"a 0-1 create {A} \n a 2-3 create {{'path': '/a/b'}} \n b 4-5 delete {A}", False),
    "made again it is young": (
        f"""
        a 0-1 create {A}
        a 2-3 set {A}
        a 4-5 delete {A}
        a 6-7 create {A}
        b 8-9 get '/a' -> {{'version': 0}}
        """,
        True,
    ),
    "children have names": (
        f"a 0-1 create {A} \n a 2-3 create {{'path': '/a/b'}} \n b 4-5 children '/a' -> ['b']",
        True,
    ),
    "in no order": (
        "a 0-1 create {'path': '/b'} \n a 2-3 create {'path': '/a'} \n b 4-5 children '/' -> ['a', 'b']",
        True,
    ),
    "and one is missing": (f"a 0-1 create {A} \n b 4-5 children '/' -> []", False),
    "numbers rise": (
        f"""
        a 0-1 create {A}
        a 2-3 create {SEQUENTIAL} -> '/a/n-0000000000'
        b 4-5 create {SEQUENTIAL} -> '/a/n-0000000001'
        """,
        True,
    ),
    "numbers come again": (
        f"""
        a 0-1 create {A}
        a 2-3 create {SEQUENTIAL} -> '/a/n-0000000000'
        b 4-5 delete {{"path": "/a/n-0000000000"}}
        b 6-7 create {SEQUENTIAL} -> '/a/n-0000000000'
        """,
        False,
    ),
    "one that was never answered took a number": (
        f"""
        a 0-1 create {A}
        a 2-  create {SEQUENTIAL}
        b 4-5 create {SEQUENTIAL} -> '/a/n-0000000001'
        """,
        True,
    ),
    "nobody took the number": (
        f"a 0-1 create {A} \n b 4-5 create {SEQUENTIAL} -> '/a/n-0000000001'",
        False,
    ),
    "children that came and went are counted": (
        """
        a 0-1 create {"path": "/a"}
        a 2-3 create {"path": "/a/b"}
        a 4-5 delete {"path": "/a/b"}
        b 6-7 exists "/a" -> {"cversion": 2}
        """,
        True,
    ),
    "it ends with its session": (
        f"""
        a 0-1 create {MINE}
        a 2-3 exists '/a' -> {{'owner': 7}}
        a 4-5 close 7
        b 6-7 exists '/a' !NoNode
        """,
        True,
    ),
    "it outlives its session": (
        f"a 0-1 create {MINE} \n a 4-5 close 7 \n b 6-7 exists '/a' -> {{'owner': 7}}",
        False,
    ),
    "it ends with another session": (
        f"a 0-1 create {MINE} \n a 4-5 close 8 \n b 6-7 exists '/a' !NoNode",
        False,
    ),
    "a session that may have ended": (
        f"a 0-1 create {MINE} \n x 4- close 7 \n b 6-7 exists '/a' !NoNode",
        True,
    ),
    "but does not begin again": (
        f"""
        a 0-1 create {MINE}
        x 4- close 7
        b 6-7 exists '/a' !NoNode
        b 8-9 exists '/a' -> {{'owner': 7}}
        """,
        False,
    ),
    "no children below what ends": (
        f"a 0-1 create {MINE} \n b 2-3 create {{'path': '/a/b'}} !NoChildrenForEphemerals",
        True,
    ),
    "children below what ends": (f"a 0-1 create {MINE} \n b 2-3 create {{'path': '/a/b'}}", False),
    "many at once": (
        f"""
        a 0-1 multi [['create', {A}], ['create', {{'path': '/a/b'}}]] -> ['/a', '/a/b']
        b 2-3 children '/a' -> ['b']
        """,
        True,
    ),
    "many at once, and seen half": (
        f"a 0-9 multi [['create', {A}], ['create', {{'path': '/b'}}]] \n b 2-3 children '/' -> ['a']",
        False,
    ),
    "none of them": (
        f"""
        a 0-1 multi [["create", {A}], ["check", {{"path": "/b"}}]] !NoNode
        b 2-3 exists "/a" !NoNode
        """,
        True,
    ),
    "one of them": (
        f"""
        a 0-1 multi [["create", {A}], ["check", {{"path": "/b"}}]] !NoNode
        b 2-3 exists "/a" -> {{}}
        """,
        False,
    ),
    "an error of the way says nothing": (
        f"""
        a 0-1 create {A} !ConnectionLoss
        b 2-3 exists '/a' !NoNode
        """,
        True,
    ),
    "and then it did not happen": (
        f"a 0-1 create {A} !ConnectionLoss \n b 2-3 exists '/a' -> {{}}",
        False,
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_tree(story: str) -> None:
    text, possible = STORIES[story]
    assert holds(told(text), Tree()) is possible


def test_it_may_begin_with_nodes() -> None:
    assert holds(told("a 0-1 get '/a/b' -> {'data': 'x'}"), Tree({"/a": None, "/a/b": "x"}))
    with pytest.raises(MalformedInput, match="cannot begin with /a/b: NoNode"):
        Tree({"/a/b": "x"})
    with pytest.raises(MalformedInput, match="begins with a map"):
        Tree(["/a"])


@pytest.mark.parametrize(
    "line",
    [
        "a 0-1 rename '/a'",
        "a 0-1 create",
        "a 0-1 create {}",
        "a 0-1 create {'path': 7}",
        "a 0-1 set {'path': '/', 'version': 'x'}",
        "a 0-1 set {'path': '/', 'version': True}",
        "a 0-1 multi 7",
        "a 0-1 multi [7]",
        "a 0-1 multi [['rename', '/a']]",
        "a 0-1 multi [['check', '/']] -> [None, None]",
        "a 0-1 multi [['check', '/']] -> 7",
        "a 0-1 get '/' -> 7",
        "a 0-1 get '/' -> {'colour': 'red'}",
        "a 0-1 children '/' -> 7",
    ],
)
def test_what_it_does_not_know(line: str) -> None:
    with pytest.raises(MalformedInput, match="operation 0"):
        holds(told(line), Tree())


COMMUTE = [
    ("set {'path': '/a'}", "set {'path': '/b'}", True),
    ("set {'path': '/a'}", "set {'path': '/a', 'data': 1}", False),
    ("set {'path': '/a'}", "get '/a' -> {}", False),
    ("set {'path': '/a'}", "get '/b' -> {}", True),
    ("create {'path': '/a'}", "create {'path': '/b'}", True),
    ("create {'path': '/a'}", "children '/' -> []", False),
    ("create {'path': '/a'}", "create {'path': '/a/b'}", False),
    ("create {'path': '/n', 'sequential': True}", "create {'path': '/b'}", False),
    ("create {'path': '/a'} !NodeExists", "get '/a' -> {}", True),
    ("create {'path': '/a'} !NodeExists", "delete {'path': '/a'}", False),
    ("close 7", "set {'path': '/b'}", False),
    ("delete {'path': '/a/b'}", "delete {'path': '/a'}", False),
]


@pytest.mark.parametrize(("first", "second", "commute"), COMMUTE)
def test_who_may_follow_whom(first: str, second: str, commute: bool) -> None:
    one, other = told(f"a 0-1 {first} \n b 0-1 {second}")
    assert Tree().may_follow(one, other) is commute
    assert Tree().may_follow(other, one) is commute
