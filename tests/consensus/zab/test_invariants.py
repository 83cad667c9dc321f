"""Each invariant bites: a machine is made wrong in one place by hand, and the invariant of that name must say
so."""
from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from agreed.consensus.machine import Ballot, Entry, EntryKind, Proposed, Send, SnapshotMark
from agreed.consensus.zab.invariants import ClusterInvariants, InvariantBroken, check, check_step, view
from agreed.consensus.zab.learner import Learner
from agreed.consensus.zab.messages import Ack
from agreed.consensus.zab.zab import Zab
from tests.consensus.lone import members_of
from tests.consensus.zab.lone import Lone, diff

Wrong = Callable[[Lone], None]


def following() -> Lone:
    return Lone(Zab).synchronized("n1", 1, diff(1, "0@0", "1@1 2@1 3@1"))


def leading() -> Lone:
    lone = Lone(Zab).established()
    lone.do(Proposed(b"x"))
    return lone


def learner(lone: Lone) -> Learner:
    return lone.leading.broadcast.learners["n1"]


def set_of(**values: object) -> Wrong:
    def change(lone: Lone) -> None:
        for name, value in values.items():
            setattr(lone.zab, name, value)

    return change


def put(index: int, entry: Entry) -> Wrong:
    def change(lone: Lone) -> None:
        lone.zab.log._entries[index - 1] = entry

    return change


def learner_of(**values: object) -> Wrong:
    def change(lone: Lone) -> None:
        for name, value in values.items():
            setattr(learner(lone), name, value)

    return change


NOW: list[tuple[str, Callable[[], Lone], Wrong]] = [
    ("bounds of the log", following, set_of(commit=9)),
    ("no entry of a future epoch", following, lambda lone: setattr(lone.zab.log, "last_term", 5)),
    ("currentEpoch is not above acceptedEpoch", following, set_of(settled=2)),
    ("saved within the log", following, set_of(saved=9)),
    ("a save counts only for what still stands", following, set_of(saving={7: 9})),
    ("the ballot is what is saved", following, set_of(ballot=Ballot(1, "n3", 1))),
    (
        "nothing is held longer than needed", following,
        lambda lone: lone.zab.promises.hold(0, Send("n1", Ack(1, 1))),
    ),
    ("every role has a deadline", following, set_of(wake=None)),
    ("zxids have no gaps", following, put(2, Entry(7, 1, EntryKind.PAYLOAD, b""))),
    ("global primary order", following, put(3, Entry(3, 0, EntryKind.PAYLOAD, b""))),
    ("the log ends in the epoch it says", following, put(3, Entry(3, 2, EntryKind.PAYLOAD, b""))),
    ("who leads is in the role of it", following, set_of(leads=True)),
    ("we know whom we follow", following, set_of(leader="n3")),
    ("who looks for a leader knows none", lambda: Lone(Zab), set_of(leader="n3")),
    ("who leads an epoch has accepted it from itself", leading, set_of(vote="n1", ballot=Ballot(1, "n1", 1))),
    ("a leader's history is its epoch's", leading, set_of(settled=0, ballot=Ballot(1, "n2", 0))),
    ("an epoch begins with an entry", leading, lambda lone: setattr(lone.leading.broadcast, "began_at", 9)),
    ("a leader follows itself", leading, set_of(leader="n1")),
    ("primary integrity", leading, set_of(commit=0)),
    ("our own log counts once saved", leading, lambda lone: setattr(lone.leading.broadcast.own, "match", 2)),
    ("match before next", leading, learner_of(match=7)),
    ("match within the log", leading, learner_of(match=7, next=8)),
    ("next within the log", leading, learner_of(next=8)),
    ("rounds come from us", leading, learner_of(round=99)),
    ("who is ready has what the epoch begins with", leading, learner_of(match=0)),
    ("only who is streamed to has a window", leading, lambda lone:
    lone.leading.broadcast.followers[1].sent(2, 9)), ("the window is bounded", leading, lambda lone:
    [learner(lone).sent(1, 1 << 30) for _ in "ab"] and None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "start", "wrong"), NOW, ids=[name for name, _, _ in NOW])
def test_what_must_be_true_now(name: str, start: Callable[[], Lone], wrong: Wrong) -> None:
    lone = start()
    check(lone.zab)
    wrong(lone)
    with pytest.raises(InvariantBroken, match=f"^{name}:"):
        check(lone.zab)


STEPS: list[tuple[str, Callable[[], Lone], dict[str, object]]] = [
    ("epochs only grow", following, {"term": 2}),
    ("currentEpoch only grows", following, {"settled": 2}),
    ("the commit index never goes back", following, {"commit": 4}),
    ("saves are done in order", following, {"saved_serial": 99}),
    ("serials only grow", following, {"serial": 99}),
    ("an epoch is accepted from one leader", following, {"vote": "n3"}),
    ("match never goes back", leading, {"matches": {"n1": 2}}),
    ("a primary only appends", leading, {"last_index": 3}),
]


@pytest.mark.parametrize(("name", "start", "before"), STEPS, ids=[name for name, _, _ in STEPS])
def test_what_must_be_true_between_two_steps(
    name: str, start: Callable[[], Lone], before: dict[str, object]
) -> None:
    lone = start()
    check_step(view(lone.zab), lone.zab)
    with pytest.raises(InvariantBroken, match=f"^{name}:"):
        check_step(msgspec.structs.replace(view(lone.zab), **before), lone.zab)


# --- of a whole cluster -----------------------------------------------------------------------------------


def entry(index: int, epoch: int, payload: bytes = b"x") -> Entry:
    return Entry(index, epoch, EntryKind.PAYLOAD, payload)


def test_an_epoch_has_one_primary() -> None:
    cluster = ClusterInvariants()
    cluster.check(Lone(Zab, name="n1").established().zab, ())
    with pytest.raises(InvariantBroken, match="one primary in an epoch"):
        cluster.check(Lone(Zab, name="n3").established().zab, ())


def test_what_is_delivered_was_proposed() -> None:
    cluster, lone = ClusterInvariants(), leading()
    cluster.check(lone.zab, ())
    cluster.agreed(lone.zab, [lone.zab.log.entry(2)])
    with pytest.raises(InvariantBroken, match="integrity"):
        cluster.agreed(lone.zab, [entry(3, 1)])


def test_what_a_primary_proposed_before_it_looked_for_another_was_proposed() -> None:
    """Found by `agreed simulate --profile zab-disk --seed 8720272`: a node takes all that came in one turn,
    and in one and the same it began its epoch, with an entry, and left it.  That entry may be agreed."""
    lone = leading()
    told, not_told = ClusterInvariants(), ClusterInvariants()
    told.stepped(lone.zab)
    begun = lone.zab.log.entry(1)
    lone.zab.look()
    for cluster in (told, not_told):
        cluster.check(lone.zab, ())
    told.agreed(lone.zab, [begun])
    with pytest.raises(InvariantBroken, match="integrity"):
        not_told.agreed(lone.zab, [begun])


def test_what_is_delivered_keeps_the_order_of_primaries() -> None:
    cluster, lone = ClusterInvariants(), leading()
    cluster.check(lone.zab, ())
    cluster.truth[1] = entry(1, 2)
    with pytest.raises(InvariantBroken, match="global primary order"):
        cluster.agreed(lone.zab, [lone.zab.log.entry(2)])


def test_a_primary_proposes_in_its_own_epoch() -> None:
    cluster, lone = ClusterInvariants(), leading()
    put(2, entry(2, 0))(lone)
    with pytest.raises(InvariantBroken, match="local primary order"):
        cluster.check(lone.zab, ())


def test_a_primary_has_all_that_was_committed() -> None:
    cluster, lone = ClusterInvariants(), leading()
    cluster.check(lone.zab, ())
    cluster.agreed(lone.zab, [lone.zab.log.entry(2)])
    later = Lone(Zab, name="n3", epoch=1, log="1@1").in_epoch()
    later.accepted_by("n1", "1@1")
    put(2, entry(2, 2))(later)
    with pytest.raises(InvariantBroken, match="a primary's history has all that was committed"):
        cluster.check(later.zab, ())


def test_histories_that_hold_an_entry_are_equal_up_to_it() -> None:
    one, two = following(), following()
    ClusterInvariants().check(one.zab, [one.zab, two.zab])
    put(1, entry(1, 1))(two)
    with pytest.raises(InvariantBroken, match="agreement of histories"):
        ClusterInvariants().check(one.zab, [one.zab, two.zab])


def test_a_snapshot_hides_what_it_contains() -> None:
    """Nothing is said of what one of two no longer holds."""
    one = following()
    two = Lone(Zab)
    two.zab.log.restore(SnapshotMark(3, 1, members_of(3)))
    ClusterInvariants().check(one.zab, [one.zab, two.zab])
