"""Records of transactions: what may follow what, and what lies in the store."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.atomic_commit.messages import Vote
from agreed.errors import MalformedInput
from agreed.transactions.records import Branch, Outcome, Record, State, decode, encode

branches = st.lists(
    st.builds(Branch, st.text(max_size=5), st.text(max_size=5), st.none() | st.sampled_from(Vote)), max_size=3
)
records = st.builds(
    Record,
    st.sampled_from(State),
    st.text(max_size=5),
    st.floats(0, 1000),
    branches.map(tuple),
    st.text(max_size=5),
    st.text(max_size=5),
)


@given(records)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert decode(encode(record)) == record


@given(st.binary(max_size=40))
def test_what_is_no_record_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedInput):
        decode(data)


def test_a_commit_needs_the_yes_of_every_branch() -> None:
    record = Record(State.OPEN, "us", 10.0, (Branch("a", "x"), Branch("b", "y")))
    assert record.outcome is None
    for votes in ({}, {"a": Vote.YES}, {"a": Vote.YES, "b": Vote.NO}, {"a": Vote.YES, "b": Vote.READ_ONLY}):
        with pytest.raises(ValueError, match="yes of"):
            record.committed(votes, "us")
    committed = record.committed({"a": Vote.YES, "b": Vote.YES}, "us")
    assert committed.outcome is Outcome.COMMITTED
    assert [each.vote for each in committed.branches] == [Vote.YES, Vote.YES]
    assert record.aborted("recovery", "too late").outcome is Outcome.ABORTED
