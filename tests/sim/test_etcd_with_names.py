"""Authentication is on in the simulated cluster, and every client of etcd is somebody.

What is done on somebody's behalf goes other ways than what is nobody's: through another command, past other
questions, on another node perhaps.  So what is promised to clients without names is played once more: leases,
watches, locks, compactions, snapshots, members that come and go, restarts and new leaders, all with names.

Found so: leases of clients with names had never ended.
"""

from __future__ import annotations

import msgspec
import pytest

from agreed.replica import applying
from agreed.replica.etcd.callers import Callers
from agreed.replica.etcd.calls import Call
from agreed.sim.outcome import Outcome
from agreed.sim.run import run
from agreed.store import machine
from agreed.store.commands import OnBehalf
from agreed.store.state import State
from agreed.store.users import ROOT, User, Users
from agreed.types import NodeId
from agreed.wire.grpc.status import Status
from tests.sim.test_etcd import CALM, asks


@pytest.fixture
def done_for_somebody(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Every store begins with a user root and with authentication on; whoever shows nothing is root.  What is
    counted is how often which command was done on somebody's behalf."""
    users_begin, state_begins, identify = Users.__init__, State.__init__, Callers._identify
    on_behalf = machine.HANDLERS[OnBehalf]
    done: dict[str, int] = {}

    def users_with_root(self: Users) -> None:
        users_begin(self)
        self.users[ROOT] = User(ROOT, None, (ROOT,))
        self.enabled = True

    def guarded_state(self: State) -> None:
        state_begins(self)
        self.note_guarded()

    def identified(self: Callers, call: Call) -> Status | None:
        refusal = identify(self, call)
        call.user = call.user or ROOT
        return refusal

    def counted(state: State, command: OnBehalf, origin: NodeId) -> object:
        name = type(command.command).__name__
        done[name] = done.get(name, 0) + 1
        return on_behalf(state, command, origin)

    monkeypatch.setattr(Users, "__init__", users_with_root)
    monkeypatch.setattr(State, "__init__", guarded_state)
    monkeypatch.setattr(Callers, "_identify", identified)
    monkeypatch.setitem(machine.HANDLERS, OnBehalf, counted)
    return done


def abandoned_lease() -> Outcome:
    """Its holder says nothing more: all keys of it have to be gone when the storm is over."""
    return run(CALM.seed, plan=msgspec.structs.replace(CALM, asks=asks("claim", "claim", "vanish")))


@pytest.mark.parametrize(
    ("profile", "seed"),
    [("etcd-swarm", 5), ("etcd-network", 2), ("etcd-membership", 1), ("etcd-disk", 2)],
)
def test_clients_with_names_are_given_what_they_were_promised(
    done_for_somebody: dict[str, int], profile: str, seed: int
) -> None:
    outcome = run(seed, profile)
    assert outcome.clean, f"{outcome.failure}: {outcome.message}"
    assert sum(done_for_somebody.values()) > 5


def test_a_lease_of_somebody_ends_when_nobody_renews_it(done_for_somebody: dict[str, int]) -> None:
    outcome = abandoned_lease()
    assert outcome.clean, f"{outcome.failure}: {outcome.message}"
    assert done_for_somebody["GrantLease"] >= 1


@pytest.mark.usefixtures("done_for_somebody")
def test_a_leader_that_hears_of_no_lease_with_a_name_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "_NOTED", applying._NOTED - {OnBehalf})
    assert not abandoned_lease().clean
