"""Randomness by name: the same numbers everywhere, and nobody's dice depend on anybody else's."""
from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import agreed.sim
from agreed.sim.streams import Stream

SOURCES = sorted(Path(agreed.sim.__file__).parent.glob("*.py"))


def test_a_stream_is_its_seed_and_its_name() -> None:
    first = [Stream(4711, "link", "n1", "n2").bits(32) for _ in range(2)]
    assert first[0] == first[1]
    assert Stream(4711, "link", "n1", "n2").bits(64) != Stream(4711, "link", "n2", "n1").bits(64)
    assert Stream(4711, "link", "n1", "n2").bits(64) != Stream(4712, "link", "n1", "n2").bits(64)


def test_the_numbers_are_the_same_on_every_machine_and_version() -> None:
    stream = Stream(1, "golden")
    assert [stream.below(1_000) for _ in range(6)] == GOLDEN
    assert stream.bytes(4).hex() == GOLDEN_BYTES


GOLDEN = [411, 474, 727, 948, 723, 288]
GOLDEN_BYTES = "ae29e575"


def test_numbers_stay_within_their_bounds_and_reach_them() -> None:
    stream = Stream(2)
    assert {stream.between(-2, 2) for _ in range(200)} == {-2, -1, 0, 1, 2}
    assert {stream.below(3) for _ in range(100)} == {0, 1, 2}


def test_weights_are_kept() -> None:
    stream = Stream(3)
    found = Counter(stream.weighted([("often", 9), ("never", 0), ("seldom", 1)]) for _ in range(2_000))
    assert found["never"] == 0
    assert 1_700 < found["often"] < 1_900


def test_a_sample_has_nothing_twice() -> None:
    stream = Stream(4)
    assert sorted(stream.sample(range(5), 5)) == [0, 1, 2, 3, 4]
    assert len(set(stream.sample(range(5), 3))) == 3
    assert len(stream.sample(range(2), 3)) == 2


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_there_are_no_other_dice(path: Path) -> None:
    """`random` is used for one thing: `random.Random(seed)`.  Its module-level functions share a generator
    that anything may have turned, and that is seeded from the operating system."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.module != "random", f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            assert node.attr == "Random", f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "hash", f"{path.name}:{node.lineno}: depends on PYTHONHASHSEED"
