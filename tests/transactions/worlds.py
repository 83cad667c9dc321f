"""A cluster and two databases in memory, whose calls can be lost, and a witness of what they do.

Everything that leaves the coordinator goes through `World.call`: there a test lets the process die, a request
or a reply be lost, or somebody else act.  Death is not an error that the coordinator could see: `play` drops
it.
"""
from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from agreed.atomic_commit.invariants import InvariantBroken, Witness
from agreed.atomic_commit.messages import Decision, Vote
from agreed.client.errors import BadVersion, ConnectionLost, NodeExists, NoNode
from agreed.client.values import (
    Check,
    Children,
    Create,
    Created,
    Delete,
    Operation,
    SessionState,
    SetData,
    Stat,
    Znode,
)
from agreed.transactions.coordinator import Coordinator
from agreed.transactions.databases import Prepared
from agreed.transactions.decisions import RECORDS, Decisions
from agreed.transactions.errors import Aborted, Forgotten, InDoubt, Refused
from agreed.transactions.inquiry import asked, in_log
from agreed.transactions.names import FORMAT, BranchName, new_transaction
from agreed.transactions.operator import resolve
from agreed.transactions.participants import participant
from agreed.transactions.records import Outcome
from agreed.transactions.recovery import Recovery
from agreed.transactions.work import Later, Together, Work, run

MADE = "/made"

LIMIT_S = 10.0
KEEP_S = 1000.0


class Died(BaseException):
    """The process of the coordinator is no more."""


class Lost(Exception):
    """What a driver raises when its connection is gone."""


# --- the cluster ------------------------------------------------------------------------------------------


class Node(NamedTuple):
    data: bytes
    version: int
    created_ms: int
    modified_ms: int

    @property
    def stat(self) -> Stat:
        return Stat(0, 0, self.created_ms, self.modified_ms, self.version, 0, 0, 0, len(self.data), 0, 0)


class MemorySession:
    """As much of `agreed.client.Session` as atomic commit uses, on one dictionary."""

    state = SessionState.CONNECTED

    def __init__(self, world: World, through: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._world = world
        self._nodes = world.nodes
        self._through = through

    def ensure_path(self, path: str, timeout_s: float | None = None) -> None:
        self._through("store", lambda: self._nodes.setdefault(path, self._made(b"")))

    def create(self, path: str, data: bytes = b"", timeout_s: float | None = None) -> Created:
        self._through("store", lambda: self._apply([Create(path=path, data=data)]))
        return Created(path, self._nodes[path].stat)

    def set(self, path: str, data: bytes, version: int = -1, timeout_s: float | None = None) -> Stat:
        self._through("store", lambda: self._apply([SetData(path, data, version)]))
        return self._nodes[path].stat

    def delete(self, path: str, version: int = -1, timeout_s: float | None = None) -> None:
        self._through("store", lambda: self._apply([Delete(path, version)]))

    def multi(self, operations: Sequence[Operation], timeout_s: float | None = None) -> None:
        self._through("store", lambda: self._apply(operations, several=True))

    def get(self, path: str, fresh: bool = False, timeout_s: float | None = None) -> Znode:
        def read() -> Znode:
            if path not in self._nodes:
                raise NoNode(path)
            return Znode(self._nodes[path].data, self._nodes[path].stat)

        found: Znode = self._through("read", read)
        return found

    def children(self, path: str, fresh: bool = False, timeout_s: float | None = None) -> Children:
        names = [each.removeprefix(f"{path}/") for each in self._nodes if each.startswith(f"{path}/")]
        return Children(tuple(sorted(names)), self._nodes[path].stat)

    def _made(self, data: bytes) -> Node:
        return Node(data, 0, self._world.now_ms, self._world.now_ms)

    def _apply(self, operations: Sequence[Operation], several: bool = False) -> None:
        nodes = dict(self._nodes)
        for place, each in enumerate(operations):
            index = place if several else None
            match each:
                case Create():
                    if each.path in nodes:
                        raise NodeExists(each.path, index)
                    if each.path.rpartition("/")[0] not in ["", *nodes]:
                        raise NoNode(each.path, index)
                    nodes[each.path] = self._made(each.data)
                case SetData(path, data, version):
                    self._check(nodes, path, version, index)
                    before = nodes[path]
                    nodes[path] = Node(data, before.version + 1, before.created_ms, self._world.now_ms)
                case Delete(path, version):
                    self._check(nodes, path, version, index)
                    del nodes[path]
                case Check(path, version):
                    self._check(nodes, path, version, index)
        self._nodes.clear()
        self._nodes.update(nodes)

    def _check(self, nodes: dict[str, Node], path: str, version: int, index: int | None) -> None:
        if path not in nodes:
            raise NoNode(path, index)
        if version not in (-1, nodes[path].version):
            raise BadVersion(path, index)


# --- a database -------------------------------------------------------------------------------------------


class MemoryServer:
    """A database that holds a number for each transaction that was committed."""

    def __init__(self, world: World, label: str) -> None:
        self.world = world
        self.label = label
        self.prepared: set[BranchName] = set()
        self.committed: set[str] = set()
        self.refuses = False
        self.forgets = False
        """It answers that it has prepared, and has not."""

    def prepare(self, name: BranchName) -> None:
        witness = self.world.witness
        if self.refuses:
            raise ValueError("a constraint is violated")
        witness.worked(name.transaction, name.branch, Vote.NO if self.forgets else Vote.YES)
        if not self.forgets:
            self.prepared.add(name)
            witness.voted(name.transaction, name.branch, Vote.YES)

    def finish(self, name: BranchName, decision: Decision) -> None:
        if name in self.prepared:
            self.prepared.remove(name)
            self.world.witness.decided(name.transaction, name.branch, decision)
            if decision is Decision.COMMIT:
                self.committed.add(name.transaction)

    def identity(self) -> str:
        return f"memory:{self.label}"


class ServerForRecovery:
    """The face of `databases.Database`."""

    def __init__(self, server: MemoryServer, world: World) -> None:
        self.label = server.label
        self._server = server
        self._world = world

    def identity(self) -> str:
        return self._server.identity()

    def prepared(self) -> list[Prepared]:
        names: list[BranchName] = self._ask(lambda: sorted(self._server.prepared))
        return [Prepared(name, None) for name in names]

    def commit(self, name: BranchName, identity: str) -> None:
        self._ask(lambda: self._server.finish(name, Decision.COMMIT))

    def rollback(self, name: BranchName, identity: str) -> None:
        self._ask(lambda: self._server.finish(name, Decision.ABORT))

    def close(self) -> None:
        pass

    def _ask(self, ask: Callable[[], Any]) -> Any:
        return self._world.call_of_recovery("database", ask)


class MemoryConnection:
    """A driver with the extension of PEP 249.  Once its connection is lost it only raises."""

    def __init__(self, server: MemoryServer) -> None:
        self.agreed_database = server.identity()
        self._server = server
        self._name: BranchName | None = None
        self._broken = False

    def xid(self, number: int, global_part: str, branch: str) -> tuple[int, str, str]:
        return (number, global_part, branch)

    def tpc_begin(self, xid: tuple[int, str, str]) -> None:
        _, cluster, transaction = xid[1].split(":")
        self._name = BranchName(cluster, transaction, xid[2])

    def tpc_prepare(self) -> None:
        self._ask(lambda: self._server.prepare(self._of))

    def tpc_recover(self) -> list[tuple[int, str, str]]:
        found = [(FORMAT, each.global_part, each.branch) for each in self._server.prepared]
        return self._ask(lambda: found)  # type: ignore[no-any-return]

    def tpc_commit(self) -> None:
        self._ask(lambda: self._commit())

    def tpc_rollback(self) -> None:
        self._ask(lambda: self._server.finish(self._of, Decision.ABORT))

    @property
    def _of(self) -> BranchName:
        assert self._name is not None
        return self._name

    def _commit(self) -> None:
        if self._of in self._server.prepared:
            self._server.finish(self._of, Decision.COMMIT)
        elif self._of.transaction not in self._server.committed:
            raise ValueError(f"{self._of.text} is not prepared")

    def _ask(self, ask: Callable[[], Any]) -> Any:
        if self._broken:
            raise Lost("there is no connection")
        try:
            return self._server.world.call("database", ask)
        except Lost:
            self._broken = True
            raise


# --- the world --------------------------------------------------------------------------------------------

Fault = tuple[int, str]
"""At which call, and what."""

FAULTS = (
    "dies before",
    "dies after",
    "interrupted",
    "request lost",
    "reply lost",
    "recovery",
    "late recovery",
    "abort",
    "commit",
)


class Beside(NamedTuple):
    """The transaction makes `before` calls, and `during` more after call number `place` of a round of
    recovery; then it dies, or goes on.  `late`: the round begins after its limit."""

    before: int
    place: int
    during: int
    late: bool
    dies: bool


class World:
    def __init__(
        self,
        *faults: Fault,
        coordinators: type[Coordinator] = Coordinator,
        decisions: type[Decisions] = Decisions,
        recoveries: type[Recovery] = Recovery,
        keep_s: float = KEEP_S,
        operation: bool = False,
    ) -> None:
        """`operation`: the cluster takes part, by making a node."""
        self._operation = operation
        self.now_ms = 1_000_000
        self.nodes: dict[str, Node] = {}
        self.witness = Witness()
        self.servers = [MemoryServer(self, "one"), MemoryServer(self, "two")]
        self.calls = 0
        self.session = MemorySession(self, self.call)
        self.transaction = new_transaction()
        self._faults = dict(faults)
        self._quiet = MemorySession(self, self.call_of_recovery)
        self._coordinators = coordinators
        self._decisions = decisions
        self.recovery = recoveries(
            self._quiet,  # type: ignore[arg-type]
            [ServerForRecovery(each, self) for each in self.servers],
            patience_s=0.0,
            keep_s=keep_s,
        )
        self._beside: tuple[int, Callable[[], None]] | None = None
        self._recovery_calls = 0
        run(Decisions(self._quiet).open(0))

    # --- what goes wrong ------------------------------------------------------------------------------

    def call(self, kind: str, ask: Callable[[], Any]) -> Any:
        self.calls += 1
        what = self._faults.get(self.calls, "")
        if what == "dies before":
            raise Died
        if what == "request lost":
            raise self._lost(kind)
        if what == "interrupted":
            raise KeyboardInterrupt
        self._interfere(what)
        answer = ask()
        if what == "dies after":
            raise Died
        if what == "reply lost":
            raise self._lost(kind)
        return answer

    def call_of_recovery(self, kind: str, ask: Callable[[], Any]) -> Any:
        """Nothing goes wrong with these; but a transaction may go on between two of them."""
        self._recovery_calls += 1
        answer = ask()
        if self._beside is not None and self._beside[0] == self._recovery_calls:
            self._beside[1]()
        return answer

    def _lost(self, kind: str) -> Exception:
        return Lost("the connection was lost") if kind == "database" else ConnectionLost("lost", maybe=True)

    def _interfere(self, what: str) -> None:
        if what == "recovery":
            self.recovery.round()
        elif what == "late recovery":
            # Time passes, more than anybody can be expected to wait: all of it is decided, finished,
            # forgotten. r _ in range(2):
                self.now_ms += int(1000 * (LIMIT_S + KEEP_S)) + 1
                self.recovery.round()
        elif what in ("abort", "commit"):
            outcome = Outcome.ABORTED if what == "abort" else Outcome.COMMITTED
            try:
                resolve(self._quiet, self.transaction, outcome, "operator", self.recovery.databases)
            except Refused:
                pass

    # --- one transaction ------------------------------------------------------------------------------

    def play(self) -> str:
        """One transaction over both servers, however it ends; then all faults end, and everything is judged.
        What the client was told.  Raises InvariantBroken."""
        told = finished(self._played())
        self._end(told)
        return told

    def play_beside_recovery(self, steps: Beside) -> str:
        """The same without faults, and with one round of recovery beside it."""
        transaction = self._played()
        told = [advance(transaction, steps.before)]
        self._recovery_calls = 0
        self._beside = (steps.place, lambda: told.append(advance(transaction, steps.during)))
        if steps.late:
            self.now_ms += int(1000 * LIMIT_S) + 1
        self.recovery.round()
        self._beside = None
        told.append("died" if steps.dies else advance(transaction, 1000))
        end = next(each for each in told if each is not None)
        self._end(end)
        return end

    def _end(self, told: str) -> None:
        for _ in range(3):
            self.recovery.round()
            self.now_ms += int(1000 * (LIMIT_S + KEEP_S)) + 1
        self._judge(told)

    def _played(self) -> Generator[None, None, str]:
        """Pauses before each call."""
        names = tuple(each.label for each in self.servers)
        self.witness.begun(self.transaction, names)
        decisions = self._decisions(self.session)
        decisions.cluster = self.cluster
        coordinator = self._coordinators(
            self.transaction,
            [participant(each.label, MemoryConnection(each)) for each in self.servers],
            decisions,
            "us",
            LIMIT_S,
            lambda message, look=None: InDoubt(message, self.transaction, self._ask),
        )
        if self._operation:
            coordinator.operations.append(Create(path=MADE))
        try:
            yield from in_order(coordinator.begin())
            yield from in_order(coordinator.commit())
            return self._told("committed")
        except Died:
            return "died"
        except KeyboardInterrupt:
            return "interrupted"
        except Aborted:
            return self._told("aborted")
        except InDoubt as doubt:
            self.recovery.round()
            try:
                outcome = doubt.outcome()
            except Forgotten:
                return "in doubt, forgotten"
            return self._told(outcome) if outcome else "in doubt"

    @property
    def cluster(self) -> str:
        return run(Decisions(self._quiet).open(0))

    def _ask(self, wait_s: float | None) -> Outcome | None:
        return run(asked(in_log(Decisions(self._quiet), self.transaction), wait_s, lambda _: None))

    def _told(self, outcome: str) -> str:
        decision = Decision.COMMIT if outcome == "committed" else Decision.ABORT
        self.witness.decided(self.transaction, "client", decision)
        return str(outcome)

    def _judge(self, told: str) -> None:
        for each in self.servers:
            if each.prepared:
                raise InvariantBroken(f"AC5: {each.label} still waits, and the client was told {told}")
        committed = [each.label for each in self.servers if self.transaction in each.committed]
        contradicted = committed if told == "aborted" else told == "committed" and not committed
        if len(committed) == 1 or contradicted:
            raise InvariantBroken(f"AC1: {committed or 'nobody'} has committed, the client was told {told}")
        if self._operation and (MADE in self.nodes) != bool(committed):
            raise InvariantBroken(f"AC1: {committed or 'nobody'} has committed, and the cluster has not")
        if any(each.startswith(f"{RECORDS}/") for each in self.nodes):
            raise InvariantBroken(f"the record is there for ever; the client was told {told}")


def in_order(work: Work[Any]) -> Generator[None, None, Any]:
    """As `work.run`, but one call after the other, with a pause before each; and whoever dies is not told."""
    answer: Any = None
    failure: BaseException | None = None
    while True:
        try:
            wanted = work.send(answer) if failure is None else work.throw(failure)
        except StopIteration as end:
            return end.value
        answer, failure = None, None
        try:
            if isinstance(wanted, Later):
                yield from _result(wanted.work)
            elif isinstance(wanted, Together):
                answer = []
                for each in wanted.works:
                    answer.append((yield from _result(each)))
            else:
                yield
                answer = wanted()
        except Died:
            raise
        except BaseException as error:
            failure = error


def _result(work: Work[Any]) -> Generator[None, None, Any]:
    try:
        return (yield from in_order(work))
    except Exception as error:
        return error


def advance(transaction: Generator[None, None, str], calls: int) -> str | None:
    """Let it make so many calls; its end, if it comes to one."""
    try:
        for _ in range(calls):
            next(transaction)
    except StopIteration as end:
        told: str = end.value
        return told
    return None


def finished(transaction: Generator[None, None, str]) -> str:
    while True:
        told = advance(transaction, 1000)
        if told is not None:
            return told
