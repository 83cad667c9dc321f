"""Clients of the etcd API in a simulated cluster: what they are after comes to its end, and is judged."""
from __future__ import annotations

import msgspec
import pytest

from agreed.check.history import Status
from agreed.sim.etcd_leases import EtcdLeases
from agreed.sim.etcd_truth import FlatTruth
from agreed.sim.outcome import Broken, Outcome
from agreed.sim.plan import PROFILES, Ask, Conditions, Fault, FaultKind, Plan
from agreed.sim.run import run
from agreed.sim.trace import Trace
from agreed.sim.world import MS, World
from agreed.store.events import Event, EventKind, Space
from agreed.store.records import OPEN_ACL, Record
from agreed.wire.etcd.messages import (
    KeyValue,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    ResponseHeader,
)
from tests.sim.mutants import ALL
from tests.sim.mutants.grounds import play as play_ground

CALM = Plan(7, "etcd-swarm", nodes=3, clients=2, storm_ms=2_500, conditions=Conditions(), etcd_clients=2)


def asks(*functions: str, client: str = "c1", key: str = "a", every_ms: int = 30) -> tuple[Ask, ...]:
    return tuple(
        Ask(number, 800 + number * every_ms, client, function, key, attempts=3)
        for number, function in enumerate(functions, 1)
    )


def play(*faults: Fault, plan: Plan = CALM) -> Outcome:
    outcome = run(plan.seed, plan=msgspec.structs.replace(plan, faults=faults))
    assert outcome.clean, f"{outcome.failure}: {outcome.message}"
    return outcome


def done(outcome: Outcome) -> list[tuple[str, object]]:
    told = [op for op in outcome.history if op.status is Status.OK and "probe" not in str(op.process)]
    return [(op.function, op.result) for op in told]


def test_each_thing_a_client_is_after_comes_to_its_end() -> None:
    plan = msgspec.structs.replace(
        CALM,
        asks=asks(
            "write", "read", "cas", "add", "members", "increment", "value", "exchange", "both", "delete",
            "claim", "local read", "compact", "acquire", every_ms=60,
        ),
    )  # fmt: skip
    outcome = play(plan=plan)
    assert done(outcome)[:9] == [
        ("write", 8), ("read", 8), ("cas", True), ("add", 32), ("read", [32]), ("add-and-get", 1),
        ("read", 1),
        ("txn", (("r", "a", None), ("r", "b", None), ("w", "a", 64), ("w", "b", 64))),
        ("txn", (("r", "a", 64), ("r", "b", 64))),
    ]  # fmt: skip
    assert {"acquire", "use", "release"} >= {name for name, _ in done(outcome)[9:]} >= {"acquire", "use"}


def test_watchers_come_back_behind_what_they_were_told() -> None:
    wishes = ("watch", "watch", *["write", "cas", "move"] * 12)
    plan = msgspec.structs.replace(CALM, asks=asks(*wishes))
    marks = play(Fault(1, 1_200, FaultKind.KILL, "leader", 300), plan=plan).marks
    assert marks["watch told"] > 5
    assert marks["client: move"] > 3


def test_a_lease_that_nobody_renews_ends_and_not_before_its_time() -> None:
    plan = msgspec.structs.replace(CALM, asks=asks("claim", "claim", "vanish"))
    marks = play(plan=plan).marks
    assert marks["lease expired"] >= 1


def test_both_kinds_of_clients_share_one_cluster_through_the_death_of_its_leader() -> None:
    theirs = asks("write", "read", "increment", "acquire", every_ms=80)
    ours = tuple(
        msgspec.structs.replace(ask, number=100 + ask.number, client="c2") for ask in asks("watch", *WISHES)
    )
    plan = msgspec.structs.replace(CALM, etcd_clients=1, asks=(*theirs, *ours))
    outcome = play(Fault(1, 1_000, FaultKind.KILL, "leader", 400), plan=plan)
    keys = {operation.key for operation in outcome.history}
    assert ("cas-register", "a") in keys
    assert ("cas-register", "flat a") in keys


WISHES = ("write", "read", "increment", "acquire", "cas", "claim", "read")


@pytest.mark.parametrize("profile", [profile for profile in PROFILES if profile.startswith("etcd-")])
def test_clients_of_etcd_are_given_what_they_were_promised(profile: str) -> None:
    asked = 0
    for seed in range(3):
        outcome = run(seed, profile)
        assert outcome.failure is None, outcome.message
        asked += len(outcome.history.operations)
    assert asked > 10


@pytest.mark.parametrize(("profile", "seed"), [("etcd-swarm", 3), ("etcd-clock", 5), ("etcd-disk", 2)])
def test_a_run_is_its_seed(profile: str, seed: int) -> None:
    first, again = run(seed, profile), run(seed, profile)
    assert first.failure is None, first.message
    assert first.trace_hash == again.trace_hash


KILLED: list[tuple[str, str]] = [
    ("E2", "watches: "), ("E3", "watches: "), ("E4", "watches: split revision"), ("E5", "watches: "),
    ("E6", "watches: untruthful progress"), ("E8", "watches: wrong previous value"),
    ("E12", "a lease ends too early"), ("E13", "a key outlives its lease"), ("E15", "a stale answer"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "failure"), KILLED)
def test_who_breaks_a_promise_is_noticed_within_a_few_seeds(number: str, failure: str) -> None:
    mutant = ALL[number]
    found = (play_ground(mutant.profiles[0], seed, mutant.parts, mutant.part) for seed in range(30))
    first = next(each for each in found if each is not None)
    assert first.startswith(failure)


# --- the judges -----------------------------------------------------------------------------------------


def record(key: bytes, value: bytes, revision: int, version: int = 1) -> Record:
    created = revision - version + 1
    return Record(key, value, created, revision, 0, 0, 0, version, 0, 0, 0, 0, OPEN_ACL, None)


def truth() -> FlatTruth:
    known = FlatTruth()
    for revision, value in ((2, b"1"), (3, b"2")):
        kind = EventKind.CREATED if revision == 2 else EventKind.CHANGED
        known.learn(Event(revision, kind, Space.FLAT, record(b"/a", value, revision, revision - 1), None))
    return known


def answer(revision: int, *kvs: KeyValue) -> RangeResponse:
    return RangeResponse(ResponseHeader(revision=revision), kvs, count=len(kvs))


def test_an_answer_is_what_was_true_at_its_revision() -> None:
    known = truth()
    known.check(RangeRequest(b"/a"), answer(2, KeyValue(b"/a", 2, 2, 1, b"1")))
    known.check(RangeRequest(b"/", b"0"), answer(3, KeyValue(b"/a", 2, 3, 2, b"2")))
    known.check(RangeRequest(b"/a", revision=2), answer(3, KeyValue(b"/a", 2, 2, 1, b"1")))
    for false in (
        answer(3, KeyValue(b"/a", 2, 2, 1, b"1")), answer(3, KeyValue(b"/a", 2, 3, 2, b"3")), answer(3),
    ):  # fmt: skip
        with pytest.raises(Broken, match="a false answer"):
            known.check(RangeRequest(b"/", b"0"), false)


def test_what_was_acknowledged_was_done_then() -> None:
    known = truth()
    known.check(PutRequest(b"/a", b"2"), PutResponse(ResponseHeader(revision=3)))
    for value, revision in ((b"2", 2), (b"never", 3)):
        with pytest.raises(Broken, match="a false answer"):
            known.check(PutRequest(b"/a", value), PutResponse(ResponseHeader(revision=revision)))


def test_what_is_put_twice_was_put_twice() -> None:
    known = truth()
    with pytest.raises(Broken, match="done twice"):
        known.learn(Event(4, EventKind.CHANGED, Space.FLAT, record(b"/b", b"2", 4), None))


def test_a_lease_is_owed_what_was_promised() -> None:
    world = World(1, Trace())
    leases = EtcdLeases(world, 0)
    leases.promised(7, 0, 2_000)
    world.run(1_900 * MS)
    with pytest.raises(Broken, match="a lease ends too early"):
        leases.refused(7)
    leases.promised(7, 1_000 * MS, 2_000)
    world.run(2_900 * MS)
    with pytest.raises(Broken, match="a lease ends too early"):
        leases.refused(7)
    world.run(3_000 * MS)
    leases.refused(7)
    leases.revoking(8)
    leases.promised(8, 3_000 * MS, 2_000)
    leases.refused(8)
