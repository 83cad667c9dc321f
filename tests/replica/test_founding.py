"""The first meeting of the founders, and disks that were lost or copied."""

from __future__ import annotations

from msgspec.structs import replace

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.members import Member, Members, encode_members
from agreed.consensus.raft.messages import AppendEntries
from agreed.replica import events
from agreed.replica.founding import Admission, Caller, Founding, Holders, cluster_number
from agreed.wire.peer.messages import PROTOCOL_VERSION, Hello
from tests.replica.alone import Alone

N1, N2, N3 = (Member(f"n{i}", 100 + i, f"host{i}:1") for i in (1, 2, 3))
FOUNDERS = Members((N1, N2, N3))
NOBODY = Members(())
NAMES = frozenset({"n1", "n2", "n3"})
CLUSTER = cluster_number(FOUNDERS)


def fresh(member: Member) -> Hello:
    return Hello(PROTOCOL_VERSION, 0, member, 0, 1, NOBODY, NOBODY, 0, 0)


def settled(member: Member, members: Members = FOUNDERS, index: int = 5) -> Hello:
    return Hello(PROTOCOL_VERSION, CLUSTER, member, 1, 1, FOUNDERS, members, 2, index)


def test_founders_know_the_cluster_once_they_have_heard_all_and_all_know_the_same() -> None:
    found = {}
    for me in (N1, N2, N3):
        founding = Founding(me, NAMES, joining=False)
        others = [member for member in (N3, N2, N1) if member is not me]
        founding.heard(fresh(others[0]))
        assert founding.result is None, "one is missing"
        assert founding.missing == [others[1].name]
        founding.heard(fresh(others[1]))
        found[me.name] = founding.result
    assert set(found.values()) == {(CLUSTER, FOUNDERS)}


def test_a_cluster_of_one_waits_for_nobody() -> None:
    assert Founding(N1, frozenset({"n1"}), joining=False).result is not None


def test_a_stranger_and_a_namesake_do_not_found() -> None:
    founding = Founding(N1, NAMES, joining=False)
    founding.heard(fresh(Member("n9", 9, "")))
    founding.heard(fresh(Member("n1", 999, "")))
    assert founding.missing == ["n2", "n3"]


def test_a_founder_that_speaks_another_protocol_is_not_counted() -> None:
    founding = Founding(N1, NAMES, joining=False, consensus="zab")
    founding.heard(replace(fresh(N2), consensus="zab"))
    founding.heard(fresh(N3))
    assert founding.result is None
    assert founding.problem is not None
    assert "n3 was started with --consensus raft, this node with zab" in founding.problem


def test_a_member_that_speaks_another_protocol_is_refused() -> None:
    refusal = Admission().refuse(settled(N1), replace(settled(N2), consensus="vr"))
    assert refusal is not None
    assert "n2 was started with --consensus vr" in refusal


def test_another_disk_of_a_founder_makes_another_cluster() -> None:
    assert cluster_number(Members((N1, N2, replace(N3, identity=7)))) != CLUSTER


def test_a_founder_that_was_late_learns_the_cluster_from_one_that_was_not() -> None:
    founding = Founding(N3, NAMES, joining=False)
    founding.heard(settled(N1))
    assert founding.result == (CLUSTER, FOUNDERS)


def test_a_founder_that_lost_its_disk_takes_no_part_and_says_what_to_do() -> None:
    founding = Founding(replace(N3, identity=7), NAMES, joining=False)
    founding.heard(settled(N1))
    assert founding.result is None
    assert founding.problem is not None
    assert "agreed member replace n3" in founding.problem


def test_once_it_is_replaced_it_does() -> None:
    mine = replace(N3, identity=7)
    founding = Founding(mine, NAMES, joining=True)
    founding.heard(settled(N1))
    founding.heard(settled(N1, Members((N1, N2, mine)), 9))
    assert founding.result == (CLUSTER, FOUNDERS)


def test_who_joins_waits_to_be_added_and_never_founds() -> None:
    mine = Member("n4", 104, "")
    founding = Founding(mine, frozenset({"n1", "n4"}), joining=True)
    founding.heard(fresh(N1))
    assert founding.result is None
    founding.heard(settled(N1))
    assert founding.problem is not None
    assert "agreed member add n4" in founding.problem
    founding.heard(settled(N1, Members((N1, N2, N3), (mine,))))
    assert founding.result == (CLUSTER, FOUNDERS)


def test_who_was_not_invited_is_told_how_to_be() -> None:
    founding = Founding(Member("n4", 104, ""), frozenset({"n1", "n4"}), joining=False)
    founding.heard(settled(N1))
    assert founding.problem is not None
    assert "--join" in founding.problem


def test_members_hear_each_other() -> None:
    assert Admission().refuse(settled(N1), settled(N2)) is None


def test_a_member_with_another_disk_is_refused_until_that_is_agreed() -> None:
    mine, theirs = settled(N1), settled(replace(N2, identity=7))
    refusal = Admission().refuse(mine, theirs)
    assert refusal is not None
    assert "agreed member replace n2" in refusal
    agreed = Members((N1, replace(N2, identity=7), N3))
    assert Admission().refuse(mine, replace(theirs, members=agreed, log_index=9)) is None
    assert Admission().refuse(mine, replace(theirs, members=agreed, log_term=3, log_index=1)) is None
    for term, index in ((2, 4), (1, 9)):
        older = replace(theirs, members=agreed, log_term=term, log_index=index)
        assert Admission().refuse(mine, older) is not None, "what they say is older than what we know"


def test_who_belongs_elsewhere_or_speaks_otherwise_or_has_my_name_is_refused() -> None:
    mine = settled(N1)
    assert Admission().refuse(mine, replace(settled(N2), cluster=CLUSTER + 1)) is not None
    assert Admission().refuse(mine, replace(settled(N2), version=PROTOCOL_VERSION + 1)) is not None
    assert Admission().refuse(mine, settled(N1)) is not None


def test_of_a_directory_and_its_copy_the_one_that_started_last_is_heard() -> None:
    admission, mine = Admission(), settled(N1)
    assert admission.refuse(mine, replace(settled(N2), life=4, boot=1)) is None
    assert admission.refuse(mine, replace(settled(N2), life=4, boot=1)) is None, "it dials again"
    for life, boot in ((4, 2), (3, 9)):
        refusal = admission.refuse(mine, replace(settled(N2), life=life, boot=boot))
        assert refusal is not None
        assert "a copy" in refusal
    assert admission.refuse(mine, replace(settled(N2), life=5, boot=7)) is None, "it was started again"


def test_the_only_one_that_has_the_log_is_heard_also_when_it_was_just_started() -> None:
    """n1 and n2 were replaced, one after the other; then n3, which led, is lost for good.  n1 has the log and
    was just restarted, so it has applied nothing of it; n2 was given nothing yet, and knows n1 as it was at
    the beginning.  Each needs the other, and n2 has to listen first."""
    as_it_is_now = replace(N1, identity=11)
    members = Members((as_it_is_now, replace(N2, identity=12), N3))
    restarted = follower_of(members)
    assert restarted.replica.applied == 0
    term, index = restarted.replica.log_end
    theirs = replace(
        settled(as_it_is_now), members=restarted.replica.members, log_term=term, log_index=index
    )
    mine = replace(settled(replace(N2, identity=12)), members=FOUNDERS, log_term=0, log_index=0)
    assert Admission().refuse(mine, theirs) is None


def test_an_answer_that_was_on_its_way_is_not_taken_for_the_new_holders() -> None:
    """n2's disk is lost, and another one gets its name while an acknowledgement of the old one travels."""
    holders = Holders()
    caller = Caller(N2, holders.of("n2", FOUNDERS))
    assert not caller.is_replaced(holders.of("n2", FOUNDERS))
    replaced = Members((N1, replace(N2, identity=12), N3))
    assert caller.is_replaced(holders.of("n2", replaced))


def test_who_is_let_in_before_we_know_of_it_may_speak_on() -> None:
    """Its log is newer than ours, and says that it is n2 now; then our log says so too."""
    holders = Holders()
    newcomer = replace(N2, identity=12)
    caller = Caller(newcomer, holders.of("n2", FOUNDERS))
    assert not caller.is_replaced(holders.of("n2", FOUNDERS))
    assert not caller.is_replaced(holders.of("n2", Members((N1, newcomer, N3))))


def test_who_was_removed_may_still_hear_of_it() -> None:
    holders = Holders()
    caller = Caller(N2, holders.of("n2", FOUNDERS))
    assert not caller.is_replaced(holders.of("n2", Members((N1, N3))))


def follower_of(members: Members) -> Alone:
    """A node that has this set of members in its log, and has not heard that it is agreed upon."""
    node = Alone(members=("n1", "n2", "n3"))
    entry = Entry(1, 1, EntryKind.MEMBERS, encode_members(members))
    node.turn(events.PeerMessage("n2", AppendEntries(1, 0, 0, 0, 1, [entry])))
    assert node.replica.members == members
    return node
