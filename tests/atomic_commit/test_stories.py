"""Two-phase commit told step by step: what is forced, what is not, who waits for whom."""
from __future__ import annotations

from collections.abc import Iterable

from agreed.atomic_commit.coordinator import Coordinator
from agreed.atomic_commit.messages import (
    Acknowledged,
    Begun,
    CommitAlone,
    Committed,
    Decided,
    DecidedAlone,
    Decision,
    Effects,
    Ended,
    Event,
    Finish,
    Finished,
    Inquiry,
    Outcome,
    Prepare,
    Prepared,
    Record,
    Vote,
    Voted,
    Worked,
)
from agreed.atomic_commit.participant import Participant
from agreed.consensus.machine import Received, Saved, Send, TimePassed
from tests.atomic_commit.world import World

ASK = ("c", "p", "q")
PREPARE = Received("c", Prepare("t", ASK))
COMMITTED, ABORTED = Decided("t", Decision.COMMIT), Decided("t", Decision.ABORT)


def after(machine: Coordinator | Participant, *events: Event) -> Effects:
    """What the last event brings about."""
    for event in events:
        machine.take()
        machine.step(event)
    return machine.take()


def records(effects: Effects) -> list[Record]:
    return [save.record for save in effects.saves]


# --- the coordinator --------------------------------------------------------------------------------------


def asked(*votes: tuple[str, Vote]) -> list[Event]:
    events: list[Event] = [Begun("t", ("p", "q"))]
    return events + [Received(name, Voted("t", vote)) for name, vote in votes]


def test_the_record_is_durable_before_anybody_hears_of_the_commit() -> None:
    coordinator = Coordinator("c")
    effects = after(coordinator, *asked(("p", Vote.YES), ("q", Vote.YES)))
    assert records(effects) == [Committed("t", ("p", "q"))]
    assert (effects.send, effects.outcomes) == ([], [])
    assert after(coordinator, Received("p", Inquiry("t"))).send == [], "not even who asks"
    effects = after(coordinator, Saved(1))
    assert effects.send == [Send("p", COMMITTED), Send("q", COMMITTED)]
    assert effects.outcomes == [Outcome("t", Decision.COMMIT)]


def test_it_is_forgotten_when_everybody_has_acknowledged() -> None:
    coordinator = Coordinator("c", [Committed("t", ("p", "q"))])
    assert after(coordinator, TimePassed(1000)).send == [Send("p", COMMITTED), Send("q", COMMITTED)]
    assert records(after(coordinator, Received("p", Acknowledged("t")))) == []
    assert after(coordinator, TimePassed(2000)).send == [Send("q", COMMITTED)]
    assert records(after(coordinator, Received("q", Acknowledged("t")))) == [Ended("t")]
    assert coordinator.wake is None
    assert Coordinator("c", [Committed("t", ("p", "q")), Ended("t")]).unfinished == []


def test_an_abort_needs_no_record_and_no_acknowledgement() -> None:
    coordinator = Coordinator("c")
    effects = after(coordinator, *asked(("p", Vote.YES), ("q", Vote.NO)))
    assert effects == Effects(send=[Send("p", ABORTED)], outcomes=[Outcome("t", Decision.ABORT)])
    assert coordinator.unfinished == []
    assert after(coordinator, Received("p", Inquiry("t"))).send == [Send("p", ABORTED)]


def test_without_a_record_it_was_aborted() -> None:
    assert after(Coordinator("c"), Received("p", Voted("t", Vote.YES))).send == [Send("p", ABORTED)]


def test_who_does_not_vote_in_time_has_not_voted_yes() -> None:
    coordinator = Coordinator("c", vote_ms=1000)
    assert after(coordinator, *asked(("p", Vote.YES)), TimePassed(500)).send == [Send("q", Prepare("t", ASK))]
    effects = after(coordinator, TimePassed(1000))
    assert effects.send == [Send("p", ABORTED), Send("q", ABORTED)]
    assert after(coordinator, Received("q", Voted("t", Vote.YES))).send == [Send("q", ABORTED)], "too late"


def test_who_has_written_nothing_is_not_told() -> None:
    effects = after(Coordinator("c"), *asked(("p", Vote.READ_ONLY), ("q", Vote.YES)))
    assert records(effects) == [Committed("t", ("q",))]
    effects = after(Coordinator("c"), *asked(("p", Vote.READ_ONLY), ("q", Vote.READ_ONLY)))
    assert effects == Effects(outcomes=[Outcome("t", Decision.COMMIT)]), "neither record nor second phase"


def test_a_single_participant_decides_itself() -> None:
    coordinator = Coordinator("c")
    effects = after(coordinator, Begun("t", ("p",)))
    assert effects == Effects(send=[Send("p", CommitAlone("t"))])
    assert after(coordinator, TimePassed(60_000)).send == [Send("p", CommitAlone("t"))], "it cannot know"
    effects = after(coordinator, Received("p", DecidedAlone("t", Decision.COMMIT)))
    assert effects.outcomes == [Outcome("t", Decision.COMMIT)]
    assert effects.send == [Send("p", Acknowledged("t"))]
    assert coordinator.unfinished == []


def test_nobody_to_ask() -> None:
    assert after(Coordinator("c"), Begun("t", ())).outcomes == [Outcome("t", Decision.COMMIT)]


# --- the participant --------------------------------------------------------------------------------------


def test_the_record_is_durable_before_the_yes() -> None:
    participant = Participant("p")
    effects = after(participant, Worked("t", Vote.YES), PREPARE)
    assert (records(effects), effects.send) == ([Prepared("t", "c", ASK)], [])
    assert after(participant, PREPARE).send == []
    assert after(participant, Saved(1)).send == [Send("c", Voted("t", Vote.YES))]
    assert after(participant, PREPARE).send == [Send("c", Voted("t", Vote.YES))]


def test_the_record_is_durable_before_the_acknowledgement() -> None:
    participant = Participant("p", [Prepared("t", "c", ASK)])
    effects = after(participant, Received("q", COMMITTED))
    assert effects.finish == [Finish("t", Decision.COMMIT)]
    assert (records(effects), effects.send) == ([Finished("t", Decision.COMMIT)], [])
    assert after(participant, Saved(1)).send == [Send("c", Acknowledged("t"))], "whoever has told us"
    assert after(participant, Received("c", COMMITTED)).send == [Send("c", Acknowledged("t"))]


def test_in_doubt_it_asks_and_does_nothing_else() -> None:
    participant = Participant("p", [Prepared("t", "c", ASK)], now=0)
    for now in (1000, 100_000, 10_000_000):
        effects = after(participant, TimePassed(now))
        assert effects == Effects(send=[Send("c", Inquiry("t")), Send("q", Inquiry("t"))])
    assert participant.in_doubt == ["t"]
    assert after(participant, Received("c", ABORTED)).finish == [Finish("t", Decision.ABORT)]
    assert participant.in_doubt == []


def test_before_its_vote_it_may_roll_back() -> None:
    participant = Participant("p", work_ms=5000)
    assert after(participant, Worked("t", Vote.YES), TimePassed(5000)).finish == [Finish("t", Decision.ABORT)]
    assert after(participant, PREPARE).send == [Send("c", Voted("t", Vote.NO))]
    assert after(Participant("p"), PREPARE).send == [Send("c", Voted("t", Vote.NO))], "nothing is left of it"


def test_a_peer_that_has_not_voted_rolls_back_and_says_so() -> None:
    participant = Participant("q")
    effects = after(participant, Worked("t", Vote.YES), Received("p", Inquiry("t")))
    assert effects == Effects(send=[Send("p", ABORTED)], finish=[Finish("t", Decision.ABORT)])
    assert after(participant, PREPARE).send == [Send("c", Voted("t", Vote.NO))]


def test_a_peer_says_what_it_knows_and_nothing_else() -> None:
    inquiry = Received("p", Inquiry("t"))
    finished: list[Record] = [Prepared("t", "c", ASK), Finished("t", Decision.COMMIT)]
    assert after(Participant("q", finished), inquiry).send == [Send("p", COMMITTED)]
    assert after(Participant("q", [Prepared("t", "c", ASK)]), inquiry).send == [], "in doubt itself"
    assert after(Participant("q"), inquiry).send == []
    # It has committed and thrown its records away.  An old `Prepare` comes: no, it says, as
    # nothing is there.  A peer that has not heard yet must not take that for a decision.
    assert after(Participant("q"), PREPARE, inquiry).send == []


def test_what_was_only_read_is_let_go_at_once() -> None:
    participant = Participant("p")
    effects = after(participant, Worked("t", Vote.READ_ONLY), PREPARE)
    assert effects == Effects(send=[Send("c", Voted("t", Vote.READ_ONLY))], finish=[Finish("t", None)])
    assert after(participant, PREPARE).send == [Send("c", Voted("t", Vote.READ_ONLY))]


def test_alone_it_remembers_until_the_coordinator_has_heard() -> None:
    participant = Participant("p")
    alone = Received("c", CommitAlone("t"))
    record = Finished("t", Decision.COMMIT, alone="c")
    effects = after(participant, Worked("t", Vote.YES), alone)
    assert (records(effects), effects.send, effects.finish) == ([record], [], [])
    said = Effects(
        send=[Send("c", DecidedAlone("t", Decision.COMMIT))], finish=[Finish("t", Decision.COMMIT)]
    )
    assert after(participant, Saved(1)) == said
    participant = Participant("p", [record], now=0)
    assert after(participant) == Effects(finish=said.finish), "we may not have come to it"
    assert after(participant, TimePassed(1)).send == said.send
    assert records(after(participant, Received("c", Acknowledged("t")))) == [Ended("t")]
    assert Participant("p", [record, Ended("t")]).unfinished == []
    assert after(Participant("p"), alone).send == [Send("c", DecidedAlone("t", Decision.ABORT))]


# --- blocking ---------------------------------------------------------------------------------------------


def wait(world: World, milliseconds: int) -> None:
    for _ in range(milliseconds // 45):
        world.settle()
        world.time_passes(45)


def in_doubt(world: World, names: Iterable[str]) -> list[list[str]]:
    machines = [world.sites[name].machine for name in names]
    return [machine.in_doubt for machine in machines if isinstance(machine, Participant)]


def test_it_blocks_while_the_coordinator_is_away() -> None:
    """It dies between the votes and its record.  Both have voted yes, neither may choose, and they hold their
    locks for as long as it takes: for minutes here.  When it is back it has no record: it was aborted."""
    world = World(0, faults=False)
    world.links.doubled, world.links.calm = 0.0, True
    world.begin("c1", {"p1": Vote.YES, "p2": Vote.YES})
    while not all(world.sites[name].holds("t1") for name in ("p1", "p2")):
        world.arrive()
        for name in ("p1", "p2"):
            world.put(name, world.sites[name].saved())
    world.crash("c1")
    wait(world, 160_000)
    assert in_doubt(world, ("p1", "p2")) == [["t1"], ["t1"]]
    assert not world.witness.seen["t1"].decided
    world.start("c1")
    wait(world, 1000)
    assert in_doubt(world, ("p1", "p2")) == [[], []]
    assert world.witness.seen["t1"].decided == {"p1": Decision.ABORT, "p2": Decision.ABORT}
