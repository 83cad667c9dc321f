"""Whole runs, told as plans: what is in a plan happens, what is left out shifts nothing, and storms end."""
from __future__ import annotations

import msgspec
import pytest

from agreed.check.history import Status
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.raft import Raft
from agreed.sim.draw import GROUPS, NETWORK, draw
from agreed.sim.outcome import Outcome
from agreed.sim.parts import Parts
from agreed.sim.plan import PROFILES, Ask, Conditions, Fault, FaultKind, Plan
from agreed.sim.run import run

CALM = Plan(7, "swarm", nodes=3, clients=2, storm_ms=2_500, conditions=Conditions())


def asks(*functions: str, client: str = "c1", key: str = "a", every_ms: int = 20) -> tuple[Ask, ...]:
    return tuple(
        Ask(number, 600 + number * every_ms, client, function, key, attempts=3)
        for number, function in enumerate(functions, 1)
    )


def play(*faults: Fault, plan: Plan = CALM, telling: bool = False) -> Outcome:
    outcome = run(plan.seed, plan=msgspec.structs.replace(plan, faults=faults), telling=telling)
    assert outcome.clean, f"{outcome.failure}: {outcome.message}"
    return outcome


def done(outcome: Outcome) -> list[tuple[str, object]]:
    """What clients were told, in the order in which they asked; but for those that are probes."""
    told = [op for op in outcome.history if op.status is Status.OK and "probe" not in str(op.process)]
    return [(op.function, op.result) for op in told]


# --- what clients can do ------------------------------------------------------------------------------------


def test_each_thing_a_client_is_after_comes_to_its_end() -> None:
    plan = msgspec.structs.replace(
        CALM,
        asks=asks(
            "write", "read", "cas", "add", "members", "enqueue", "dequeue", "dequeue", "increment", "value",
            "acquire", "exchange", "both", "watch", "claim", "local read", every_ms=60,
        ),
    )  # fmt: skip
    assert done(play(plan=plan)) == [
        ("write", 8), ("read", 8), ("cas", True), ("add", 32), ("read", [32]), ("enqueue", 48),
        ("dequeue", 48), ("dequeue", None), ("add-and-get", 1), ("read", 1), ("acquire", TOKEN),
        ("release", True),
        ("txn", (("r", "a", None), ("r", "b", None), ("w", "a", 96), ("w", "b", 96))),
        ("txn", (("r", "a", 96), ("r", "b", 96))),
    ]  # fmt: skip


class _Number:
    """Equal to every number."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)


TOKEN = _Number()


@pytest.mark.parametrize("away", ["move", "sleep", "stall", "vanish", "close"])
def test_a_client_that_goes_away_comes_back(away: str) -> None:
    plan = msgspec.structs.replace(CALM, asks=asks("write", away, "read"), storm_ms=9_000)
    outcome = play(plan=plan)
    assert done(outcome)[-1] == ("read", 8)
    assert outcome.marks[f"client: {away}"] == 1


# --- what is done to the cluster ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "marks"),
    [
        (Fault(1, 900, FaultKind.KILL, "leader", 200), ["killed while leading"]),
        (Fault(1, 900, FaultKind.POWER, "*", 200), ["power lost everywhere"]),
        (Fault(1, 900, FaultKind.PAUSE, "leader", 1_200), ["leader paused", "leader stepped down"]),
        (Fault(1, 900, FaultKind.CUT, "leader", 1_000), ["leader stepped down"]),
        (Fault(1, 900, FaultKind.FAILING_SYNC, "leader"), ["disk failed while leading"]),
        (Fault(1, 900, FaultKind.WIPE, "follower", 100), ["members: MemberReplace"]),
        (Fault(1, 900, FaultKind.ADD, "n4", amount=1), ["members: MemberAdd", "members: MemberPromote"]),
        (Fault(1, 900, FaultKind.REMOVE, "follower"), ["members: MemberRemove", "joint configuration"]),
        (Fault(1, 900, FaultKind.CORRUPT, "*>*", 900, 200), ["damaged message refused"]),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Fault) else "",
)
def test_a_fault_does_what_it_is_called_and_the_cluster_survives_it(fault: Fault, marks: list[str]) -> None:
    wishes = asks(*["write", "increment"] * 40)
    outcome = play(fault, plan=msgspec.structs.replace(CALM, asks=wishes))
    for mark in marks:
        assert outcome.marks.get(mark), f"{mark} is not among {outcome.marks}"
    assert done(outcome)[-1][0] in ("write", "add-and-get")


def test_a_member_that_was_away_answers_a_leader_that_joined_meanwhile() -> None:
    """It has never heard of that leader, and would not have dialled it."""
    wishes = asks(*["write"] * 60, every_ms=40)
    plan = msgspec.structs.replace(CALM, asks=wishes, storm_ms=4_000)
    outcome = play(
        Fault(1, 300, FaultKind.CUT, "n3|n1,n2,n4", 3_600),
        Fault(2, 900, FaultKind.ADD, "n4", amount=1),
        Fault(3, 2_500, FaultKind.TRANSFER, "n4"),
        plan=plan,
    )
    assert outcome.marks["members: MemberPromote"] == 1


# --- the same run, again and with something left out --------------------------------------------------------


def test_a_run_is_its_seed() -> None:
    assert run(5, "disk") == run(5, "disk")
    assert run(5, "disk").trace_hash != run(6, "disk").trace_hash


def test_to_tell_the_story_changes_nothing() -> None:
    quiet, told = run(5, "network"), run(5, "network", telling=True)
    assert quiet.trace_hash == told.trace_hash
    assert not quiet.transcript
    assert {"message", "state", "call", "return", "fault"} <= {line.kind for line in told.transcript}


def test_a_fault_that_is_left_out_shifts_nothing_before_it() -> None:
    plan = draw(11, "network")
    last = plan.faults[-1]
    with_it = run(11, plan=plan, telling=True)
    without = run(11, plan=plan.without(faults=[last.number]), telling=True)

    def before(outcome: Outcome) -> list[object]:
        return [line for line in outcome.transcript if line.at_us < last.at_ms * 1_000]

    assert before(with_it) == before(without)
    assert with_it.trace_hash != without.trace_hash


def test_a_plan_survives_being_written_down() -> None:
    plan = draw(3, "membership")
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_a_plan_for_fewer_is_a_plan() -> None:
    plan = draw(3, "swarm")
    smaller = plan.smaller(nodes=1, clients=1, storm_ms=800)
    assert {ask.client for ask in smaller.asks} <= {"c1"}
    assert all(fault.at_ms < 800 for fault in smaller.faults)
    assert run(3, plan=smaller).clean


@pytest.mark.parametrize("profile", PROFILES)
def test_every_kind_of_fault_of_a_profile_is_drawn_some_day(profile: str) -> None:
    drawn = {fault.kind for seed in range(60) for fault in draw(seed, profile).faults}
    assert drawn
    if profile == "swarm":
        assert drawn == set(FaultKind)
    if profile == "network":
        assert {kind for kind in FaultKind if GROUPS[kind] == NETWORK} <= drawn


def test_after_the_storm_every_member_has_to_serve() -> None:
    outcome = play(plan=msgspec.structs.replace(CALM, asks=asks("write")))
    probes = [op for op in outcome.history if "probe" in str(op.process)]
    assert sorted(str(op.process) for op in probes) == [f"probe of n{n}.1" for n in (1, 2, 3)]
    assert all(op.status is Status.OK for op in probes)


# --- what must be noticed -----------------------------------------------------------------------------------


class CommitsAlone(Leader):
    def on_saved(self) -> None:
        if self.own.matched(self.raft.saved) and self.raft.saved > self.raft.commit:
            self.raft.commit_to(self.raft.saved)


class RaftThatCommitsAlone(Raft):
    leader_role = CommitsAlone


class RaftThatNeverLeads(Raft):
    def campaign(self, *, transfer: bool = False) -> None:
        self.reset_election()


class RaftThatStumbles(Raft):
    def become_leader(self) -> None:
        raise KeyError("progress")


@pytest.mark.parametrize(
    ("raft", "failure"),
    [
        (RaftThatCommitsAlone, "committed and not durable"),
        (RaftThatNeverLeads, "no rest after the storm"),
        (RaftThatStumbles, "exception KeyError"),
    ],
)
def test_what_is_wrong_is_noticed_and_told_by_its_name(raft: type[Raft], failure: str) -> None:
    outcome = run(7, plan=msgspec.structs.replace(CALM, asks=asks("write")), parts=Parts(raft=raft))
    assert outcome.failure == failure
    assert outcome.message
