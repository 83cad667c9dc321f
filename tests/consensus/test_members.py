"""The algebra of members: what may follow what, and what is refused with which words."""
from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.members import (
    AddLearner,
    Member,
    Members,
    MembersChange,
    Promote,
    Remove,
    Replace,
    SetVoters,
    after,
    decode_members,
    encode_members,
    everybody,
    fault,
    final,
    refusal,
)
from agreed.consensus.quorum import Quorum
from agreed.errors import MalformedInput

N1, N2, N3, N4 = (Member(f"n{i}", i, f"host{i}:1") for i in range(1, 5))
THREE = Members((N1, N2, N3))
WITH_LEARNER = Members((N1, N2, N3), (N4,))
NEW3 = Member("n3", 33, "host3:1")
MOVED3 = Member("n3", 3, "elsewhere:1")


@pytest.mark.parametrize(
    ("members", "change", "appended", "at_last"),
    [
        (THREE, AddLearner(N4), WITH_LEARNER, WITH_LEARNER),
        (WITH_LEARNER, Promote("n4"), Members((N1, N2, N3, N4), (), (N1, N2, N3)), Members((N1, N2, N3, N4))),
        (THREE, Remove("n3"), Members((N1, N2), (), (N1, N2, N3)), Members((N1, N2))),
        (WITH_LEARNER, Remove("n4"), THREE, THREE),
        (THREE, Replace(NEW3), Members((N1, N2), (NEW3,), (N1, N2, N3)), Members((N1, N2, NEW3))),
        (THREE, Replace(MOVED3), Members((N1, N2, MOVED3)), Members((N1, N2, MOVED3))),
        (THREE, SetVoters((N1, N4)), Members((N1, N4), (), (N1, N2, N3)), Members((N1, N4))),
        (THREE, SetVoters((N1, N2), (N3,)), Members((N1, N2), (N3,), (N1, N2, N3)), Members((N1, N2), (N3,))),
        (THREE, SetVoters((N3, N2, N1), (N4,)), Members((N3, N2, N1), (N4,)), Members((N3, N2, N1), (N4,))),
    ],
)
def test_a_change_goes_by_a_joint_set_wherever_majorities_change(
    members: Members, change: MembersChange, appended: Members, at_last: Members
) -> None:
    assert refusal(members, change) is None
    assert after(members, change) == appended
    assert fault(appended) is None
    assert (final(appended) if appended.outgoing else appended) == at_last


@pytest.mark.parametrize(
    ("members", "change", "words"),
    [
        (THREE, AddLearner(N1), "n1 is a member already"),
        (THREE, AddLearner(Member("", 1, "")), "needs a name"),
        (THREE, Promote("n9"), "n9 is not a member"),
        (THREE, Promote("n1"), "votes already"),
        (THREE, Remove("n9"), "n9 is not a member"),
        (Members((N1,), (N2,)), Remove("n1"), "the last voter"),
        (THREE, Replace(N4), "n4 is not a member"),
        (THREE, Replace(N3), "this very member already"),
        (Members((N1, N3)), Replace(NEW3), "no majority of the 2 voters"),
        (THREE, SetVoters(()), "needs a voter"),
        (THREE, SetVoters((N1, N1)), "a name stands twice"),
        (THREE, SetVoters((N1,), (N1,)), "a name stands twice"),
        (THREE, SetVoters((N1, N2, N3)), "this very set"),
        (THREE, SetVoters((N1, N2, NEW3)), "replace it first"),
        (Members((N1,), (), (N1, N2)), AddLearner(N3), "another change"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(members: Members, change: MembersChange, words: str) -> None:
    reason = refusal(members, change)
    assert reason is not None
    assert words in reason


def small_changes() -> list[MembersChange]:
    changes: list[MembersChange] = [AddLearner(N4), Promote("n4")]
    for member in (N1, N2, N3, N4):
        changes += [Remove(member.name), Replace(Member(member.name, member.identity + 40, member.address))]
    for size in range(1, 5):
        changes += [SetVoters(voters) for voters in itertools.combinations((N1, N2, N3, N4), size)]
    return changes


@pytest.mark.parametrize("members", [THREE, WITH_LEARNER, Members((N1, N2, N3, N4))])
@pytest.mark.parametrize("change", small_changes(), ids=str)
def test_quorums_of_neighbouring_sets_share_a_voter(members: Members, change: MembersChange) -> None:
    """From the old set to the joint, and from the joint to the new: no two majorities may miss each other.

    Who is meant by a name is told apart by the identity; a voter is (name, identity).
    """
    if refusal(members, change) is not None:
        return
    joint = after(members, change)
    chain = [members, joint, *([final(joint)] if joint.outgoing else [])]
    for first, second in itertools.pairwise(chain):
        for one, other in itertools.product(quorums(first), quorums(second)):
            assert one & other, (first, second)


def quorums(members: Members) -> list[set[tuple[str, int]]]:
    quorum, known = Quorum(members), everybody(members)
    found = []
    for size in range(len(quorum.names) + 1):
        for names in itertools.combinations(quorum.names, size):
            if quorum.has(names):
                found.append({(name, known[name].identity) for name in names})
    return found


names = st.text("abc123", min_size=1, max_size=3)
members = st.builds(Member, names, st.integers(0, 2**63 - 1), st.text(max_size=5), st.text(max_size=5))


@st.composite
def sets_of_members(draw: st.DrawFn) -> Members:
    distinct = draw(st.lists(members, min_size=1, max_size=6, unique_by=lambda member: member.name))
    cut = draw(st.integers(1, len(distinct)))
    outgoing = draw(st.lists(members, max_size=4, unique_by=lambda member: member.name))
    return Members(tuple(distinct[:cut]), tuple(distinct[cut:]), tuple(outgoing))


@given(sets_of_members())
def test_a_set_of_members_survives_its_encoding(members: Members) -> None:
    assert decode_members(encode_members(members)) == members


@given(st.binary(max_size=60))
def test_other_bytes_are_malformed_or_a_sound_set(payload: bytes) -> None:
    try:
        assert fault(decode_members(payload)) is None
    except MalformedInput:
        pass


@pytest.mark.parametrize(
    "unsound",
    [Members((N1, N1)), Members((N1,), (N1,)), Members((), (), (N1,)), Members((Member("", 1, ""),))],
)
def test_an_unsound_set_is_malformed(unsound: Members) -> None:
    with pytest.raises(MalformedInput):
        decode_members(encode_members(unsound))
