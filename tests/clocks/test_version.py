"""Version vectors against dictionaries, and the laws of a lattice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.clocks import Causality, VersionVector, concurrent, happens_before
from agreed.clocks.version import COUNTER_MOST, Roster, packed

"""On a machine that is busy with something else an example may take any time."""

COUNTERS = st.dictionaries(
    st.sampled_from(["n1", "n2", "n3", "n4", "ö"]),
    st.one_of(st.integers(0, 3), st.integers(0, COUNTER_MOST), st.just(COUNTER_MOST)),
)
VECTORS = st.builds(VersionVector.of, COUNTERS)


def as_function(vector: VersionVector) -> dict[str, int]:
    return dict(vector.items())


@given(COUNTERS)
def test_it_is_the_function_that_was_given(counters: dict[str, int]) -> None:
    vector = VersionVector.of(counters)
    assert as_function(vector) == {node: counter for node, counter in counters.items() if counter}
    assert all(vector.counter(node) == counter for node, counter in counters.items())
    assert vector.counter("nobody") == 0
    assert len(vector) == len(as_function(vector))


@given(COUNTERS, COUNTERS)
def test_a_merge_is_the_greater_of_each(first: dict[str, int], second: dict[str, int]) -> None:
    merged = VersionVector.of(first).merge(VersionVector.of(second))
    expected = {node: max(first.get(node, 0), second.get(node, 0)) for node in {*first, *second}}
    assert merged == VersionVector.of(expected)


@given(COUNTERS, COUNTERS)
def test_a_comparison_is_that_of_each(first: dict[str, int], second: dict[str, int]) -> None:
    nodes = {*first, *second}
    more = any(first.get(node, 0) > second.get(node, 0) for node in nodes)
    less = any(first.get(node, 0) < second.get(node, 0) for node in nodes)
    expected = {
        (False, False): Causality.EQUAL,
        (False, True): Causality.BEFORE,
        (True, False): Causality.AFTER,
        (True, True): Causality.CONCURRENT,
    }[more, less]
    one, other = VersionVector.of(first), VersionVector.of(second)
    assert one.compare(other) is expected
    assert other.compare(one) is expected.converse
    assert one.descends(other) is not less
    assert happens_before(one, other) is (expected is Causality.BEFORE)
    assert concurrent(one, other) is (expected is Causality.CONCURRENT)


@given(VECTORS, VECTORS, VECTORS)
def test_the_laws_of_a_lattice(first: VersionVector, second: VersionVector, third: VersionVector) -> None:
    both = first.merge(second)
    assert both == second.merge(first)
    assert both.merge(third) == first.merge(second.merge(third))
    assert first.merge(first) == first
    assert both.descends(first)
    assert both.descends(second)
    if third.descends(first) and third.descends(second):
        assert third.descends(both), "the least of those that descend from both"


@given(st.lists(st.tuples(st.integers(0, COUNTER_MOST), st.integers(0, COUNTER_MOST)), max_size=40))
def test_no_lane_touches_its_neighbour(pairs: list[tuple[int, int]]) -> None:
    """Vectors with the same names are one number each: every pair of counters beside every other."""
    names = [f"n{place:02}" for place in range(len(pairs))]
    one = VersionVector.of({name: max(first, 1) for name, (first, _) in zip(names, pairs, strict=True)})
    other = VersionVector.of({name: max(second, 1) for name, (_, second) in zip(names, pairs, strict=True)})
    assert one.roster == other.roster
    merged = one.merge(other)
    assert merged.counters() == tuple(max(first, second, 1) for first, second in pairs)
    assert one.descends(other) is all(max(first, 1) >= max(second, 1) for first, second in pairs)


@given(
    st.lists(st.sampled_from([-1, 0, 0, 0, 1]), min_size=34, max_size=34),
    st.sampled_from([0, 1, 30, 31, 32, 33]),
)
def test_many_nodes_are_compared_as_few_are(differences: list[int], alike: int) -> None:
    """Of so many that a part is looked at first; `alike` of them are the same."""
    differences[:alike] = [0] * alike
    names = [f"n{place:02}" for place in range(34)]
    one = VersionVector.of(dict.fromkeys(names, 5))
    counters = {name: 5 + more for name, more in zip(names, differences, strict=True)}
    other = packed(one.roster, list(counters.values()))
    assert one.compare(other) is one.compare(VersionVector.of(counters))
    expected = {(True, True): Causality.CONCURRENT, (True, False): Causality.BEFORE}.get(
        (max(differences) > 0, min(differences) < 0),
        Causality.AFTER if min(differences) < 0 else Causality.EQUAL,
    )
    assert one.compare(other) is expected


@given(VECTORS, st.sampled_from(["n0", "n3", "n9"]))
def test_one_more(vector: VersionVector, node: str) -> None:
    if vector.counter(node) == COUNTER_MOST:
        with pytest.raises(OverflowError):
            vector.increment(node)
        return
    more = vector.increment(node)
    assert as_function(more) == {**as_function(vector), node: vector.counter(node) + 1}
    assert vector.compare(more) is Causality.BEFORE


@given(COUNTERS)
def test_equal_vectors_have_one_hash_and_look_alike(counters: dict[str, int]) -> None:
    one = VersionVector.of(counters)
    other = VersionVector.of(dict(reversed([*counters.items(), ("n9", 0)])))
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)
    assert one != counters
    assert one.roster != counters


@pytest.mark.parametrize("counter", [-1, COUNTER_MOST + 1])
def test_what_is_no_counter_is_refused(counter: int) -> None:
    with pytest.raises(ValueError, match="a counter is from 0"):
        VersionVector.of({"n1": counter})


def test_what_has_gone_everywhere_can_be_forgotten() -> None:
    first, second = VersionVector.of({"old": 7, "n1": 2}), VersionVector.of({"old": 7, "n1": 1, "n2": 1})
    keep = {"n1", "n2"}
    assert first.compare(second) is first.pruned(keep).compare(second.pruned(keep)) is Causality.CONCURRENT


def test_what_is_forgotten_too_early_loses_an_update() -> None:
    """The price, as a story.  A cart on n1 and n2: {n1: 1} was read on n2 and written there, {n1: 1, n2:
    1}; meanwhile n1 wrote {n1: 2}.  They are concurrent, and both must be kept.  Without n2, one of them is
    thrown away."""
    on_n2, on_n1 = VersionVector.of({"n1": 1, "n2": 1}), VersionVector.of({"n1": 2})
    assert on_n2.compare(on_n1) is Causality.CONCURRENT
    assert on_n2.pruned({"n1"}).compare(on_n1) is Causality.BEFORE


def test_what_is_forgotten_on_one_side_comes_back() -> None:
    old, new = VersionVector.of({"n2": 1}), VersionVector.of({"n1": 1, "n2": 1})
    assert new.compare(old) is Causality.AFTER
    assert new.pruned({"n1"}).compare(old) is Causality.CONCURRENT


def test_vectors_that_come_from_each_other_share_their_names() -> None:
    vector = VersionVector.of({"n1": 1, "n2": 1})
    assert vector.increment("n1").roster is vector.roster
    assert vector.merge(vector.increment("n2")).roster is vector.roster
    assert vector.merge(VersionVector.of({"n1": 1, "n2": 1})) is vector


def test_the_names_say_what_they_are() -> None:
    assert repr(Roster(("n1",))) == "Roster(('n1',))"
