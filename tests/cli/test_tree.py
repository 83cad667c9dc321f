"""What stands below a name, drawn, listed, and followed at a terminal."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator

import pytest

from agreed import connect
from agreed.backends.contract import Entry
from agreed.cli.exits import INTERRUPTED, MISUSED, REFUSED
from agreed.cli.main import main
from agreed.cli.playground import Playground
from agreed.cli.tree import drawn, told
from agreed.cli.watch import Told
from agreed.recipes.cached_subtree import SubtreeChange, View
from tests.cli.test_kv import begin
from tests.node.running import running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with running(tmp_path_factory.mktemp("tree"), size=1) as cluster:
        yield cluster


def entry(key: str, value: bytes = b"", owner: int = 0) -> Entry:
    return Entry(key, value, 1, 1, 1, owner)


VIEW = View(
    "config",
    1,
    (
        entry("config", b"top"),
        entry("config/a/b", b"1"),
        entry("config/a/c/d", b"two\nlines"),
        entry("config/a/c/e", b"\xff"),
        entry("config/z", b"", 0x1F),
    ),
)

ALL = """\
config  top
├── a
│   ├── b  1
│   └── c
│       ├── d  'two\\nlines'
│       └── e  b'\\xff'
└── z  (session 1f)"""

TWO_LEVELS = """\
config
├── a
│   ├── b
│   └── c
│       └── (2 more)
└── z  (session 1f)"""


@pytest.mark.parametrize(
    ("view", "depth", "values", "picture"),
    [
        (VIEW, None, True, ALL),
        (VIEW, 2, False, TWO_LEVELS),
        (View("", 1, (entry("a"),)), 1, False, ".\n└── a"),
        (View("x", 1, ()), None, True, "x"),
    ],
)
def test_it_is_drawn_as_a_tree(view: View, depth: int | None, values: bool, picture: str) -> None:
    assert "\n".join(drawn(view, depth, values)) == picture


def test_what_has_become_of_it_is_told_with_values_or_without() -> None:
    change = SubtreeChange(1, (entry("a", b"1"),), (entry("b", b"2"),), False)
    gone = Told("deleted", "b")
    assert told(change, values=True) == [gone, Told("put", "a", 1, None, "1")]
    assert told(change, values=False) == [gone, Told("put", "a", 1)]


def test_what_is_there_is_printed_and_what_is_not_is_said_by_the_code(
    node: Playground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"agreed://{node.hosts}/cli"
    monkeypatch.setenv("AGREED_URL", url)

    def run(*arguments: str) -> tuple[int | str | None, str]:
        monkeypatch.setattr(sys, "argv", ["agreed", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, capsys.readouterr().out

    assert run("tree", "once") == (REFUSED, "")
    with connect(url) as client:
        for key, value in (("once/a/b", b"1"), ("once/c", b"2"), ("once-more", b"3")):
            client.kv.put(key, value)
    assert run("tree", "once", "--values") == (0, "once\n├── a\n│   └── b  1\n└── c  2\n")
    listed = json.loads(run("tree", "once", "--json", "--depth", "1")[1])
    assert [sorted(each) for each in listed] == [["key", "session", "version"]]
    assert listed[0]["key"] == "once/c"
    values = json.loads(run("tree", "--json", "--values")[1])
    assert {each["key"]: each["value"] for each in values} == {
        "once/a/b": "1",
        "once/c": "2",
        "once-more": "3",
    }
    assert run("tree", "once", "--most", "1")[0] == REFUSED
    assert run("tree", "once", "--depth", "0")[0] == MISUSED


def test_it_is_followed_until_somebody_has_seen_enough(node: Playground) -> None:
    with connect(f"agreed://{node.hosts}/cli") as client:
        client.kv.put("followed/a", b"1")
        following = begin(node, "tree", "followed", "--follow", "--values", "--depth", "2")
        assert following.stdout is not None
        assert [following.stdout.readline().decode() for _ in range(2)] == ["followed\n", "└── a  1\n"]
        client.kv.put("followed/too/deep/down", b"2")
        client.kv.put("followed/a", b"2")
        assert following.stdout.readline() == b"put followed/a 2\n"
        client.kv.delete("followed/a")
        assert following.stdout.readline() == b"deleted followed/a\n"
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=60)
    assert following.returncode == INTERRUPTED
