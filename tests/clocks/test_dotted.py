"""Values that were written concurrently: the stories for which dots were invented."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agreed.clocks import Dot, Siblings, VersionVector

"""On a machine that is busy with something else an example may take any time."""

NOTHING_READ = VersionVector()


def test_two_clients_who_have_read_the_same_both_keep_their_write() -> None:
    """Through one replica: with vectors alone the second would hide the first."""
    cart: Siblings[str] = Siblings()
    cart = cart.put("milk", NOTHING_READ, "n1")
    read = cart.context
    cart = cart.put("milk, eggs", read, "n1").put("milk, flour", read, "n1")
    assert cart.values == ("milk, eggs", "milk, flour")
    assert [each.dot for each in cart.members] == [Dot("n1", 2), Dot("n1", 3)]


def test_who_has_read_all_siblings_writes_over_them() -> None:
    cart = Siblings[str]().put("eggs", NOTHING_READ, "n1").put("flour", NOTHING_READ, "n2")
    cart = cart.put("eggs, flour", cart.context, "n1")
    assert cart.values == ("eggs, flour",)


def test_what_was_overwritten_elsewhere_does_not_come_back() -> None:
    old = Siblings[str]().put("old", NOTHING_READ, "n1")
    new = old.put("new", old.context, "n2")
    assert new.merge(old) == old.merge(new) == new


def test_a_write_without_reading_hides_nothing() -> None:
    held = Siblings[str]().put("first", NOTHING_READ, "n1").put("second", NOTHING_READ, "n1")
    assert held.values == ("first", "second")


ACTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=25)


@given(ACTS)
def test_replicas_that_have_heard_of_each_other_hold_the_same(acts: list[tuple[int, int, bool]]) -> None:
    """And it does not matter in which order, or how often."""
    held: list[Siblings[int]] = [Siblings(), Siblings(), Siblings()]
    for number, (one, other, writes) in enumerate(acts):
        if writes:
            held[one] = held[one].put(number, held[other].context, f"n{one}")
        else:
            held[one] = held[one].merge(held[other])
    first, second, third = held
    together = first.merge(second).merge(third)
    assert together == third.merge(first.merge(second)) == second.merge(third.merge(first))
    assert together.merge(first) == together.merge(together) == together
