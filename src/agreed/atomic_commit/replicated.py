"""Atomic commit that does not block: the decision is an entry of a replicated log.

With two-phase commit the record of one coordinator is the commit, and while it is away nobody can know.
Here the record is in the log of any protocol of `consensus`, and every node has it.  The rule is one line:
of all proposals for a transaction *the first one in the log is the decision*, whoever made it.

* The coordinator asks for votes as before.  When it has them it proposes commit, and the votes travel with
  the proposal; after a no, or too long a silence, it proposes abort.
* A participant in doubt asks any node.  A node that finds the decision in its log says it.  A node that does
  not find it waits for a little, and then proposes abort: the coordinator may be dead.  If it is not, its
  commit and this abort meet in the log, one of them comes first, and everybody obeys that one, the
  coordinator with the rest.

So it takes a majority of the nodes of the log to end a transaction, and no node in particular.  What a
coordinator knows is in memory, and nothing of it is missed.  It costs a round of consensus instead of one
forced write.  (Gray and Lamport 2006 save a message delay more: with an instance of consensus for each
vote, so that the votes need not travel twice.  Here a transaction is one entry.)

A commit without the yes of every participant is no decision, whoever proposes it: the log passes it over.

What it does not do: forget.  Presumed abort is not for it (a node that does not know a transaction may be
behind), and a proposal may come late, so decisions are kept.  Who wants to drop old ones must number the
transactions and agree up to which number none is under way.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from agreed.atomic_commit.machine import CommitMachine
from agreed.atomic_commit.messages import (
    Agreed,
    Begun,
    Decided,
    Decision,
    Event,
    Inquiry,
    Outcome,
    Prepare,
    TransactionId,
    Vote,
    Voted,
)
from agreed.atomic_commit.voting import Poll, unanimous
from agreed.consensus.machine import Received, TimePassed
from agreed.errors import MalformedInput
from agreed.types import Instant, NodeId

MOST_RETRIES_APART = 32
"""How many times `retry_ms` a proposal that was dropped again and again waits at most."""


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """An entry of the log.  `votes` stand beside their participants; an abort needs neither."""

    transaction: TransactionId
    decision: Decision
    participants: tuple[NodeId, ...] = ()
    votes: tuple[Vote | None, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether it may be a decision."""
        if self.decision == Decision.ABORT:
            return True
        votes = dict(zip(self.participants, self.votes, strict=False))
        return unanimous(self.participants, {each: vote for each, vote in votes.items() if vote is not None})


class DecisionLog:
    """What the replicated log says: a function of its payloads, so it is the same on every node."""

    def __init__(self) -> None:
        self._decided: dict[TransactionId, Proposal] = {}

    def apply(self, payload: bytes) -> Proposal | None:
        """The next payload of the log.  A decision, if it is the first valid proposal for its transaction;
        None if not.  Raises MalformedInput for what is no proposal."""
        try:
            proposal = msgspec.msgpack.decode(payload, type=Proposal)
        except msgspec.MsgspecError as error:
            raise MalformedInput("a payload that is no decision of a transaction") from error
        if not self._decides(proposal):
            return None
        self._decided[proposal.transaction] = proposal
        return proposal

    def _decides(self, proposal: Proposal) -> bool:
        return proposal.valid and proposal.transaction not in self._decided

    @property
    def decided(self) -> Mapping[TransactionId, Proposal]:
        return MappingProxyType(self._decided)


class Pending(msgspec.Struct):
    """Proposed, and not in the log as far as we know."""

    payload: bytes
    retry_at: Instant
    retry_ms: int
    """Twice as long after each time: a log that is slow does not get faster by being asked more often."""


class ReplicatedCoordinator(CommitMachine):
    """One node of the log: it coordinates what is begun with it, and ends what others have left.

    `nodes` are those of the log, this one included, whom participants in doubt ask.  After a crash it begins
    with nothing, and is told the log from its start (`Agreed`).  A participant gets `vote_ms` to vote; a
    transaction about which somebody is in doubt gets `patience_ms` to be decided; who has not voted is asked
    again every `retry_ms`, and what was dropped is proposed again after `retry_ms`, then twice that, ..."""

    def __init__(
        self,
        node: NodeId,
        nodes: Iterable[NodeId],
        now: Instant = 0,
        vote_ms: int = 1000,
        patience_ms: int = 500,
        retry_ms: int = 100,
    ) -> None:
        super().__init__(node, now)
        self.nodes = tuple(nodes)
        self.vote_ms, self.patience_ms, self.retry_ms = vote_ms, patience_ms, retry_ms
        self.log = self._make_log()
        self._polls: dict[TransactionId, Poll] = {}
        """What was begun here and is not decided, whether its votes are complete or not."""
        self._pending: dict[TransactionId, Pending] = {}
        self._doubted: dict[TransactionId, Instant] = {}
        """Somebody else's, about which somebody is in doubt, and when we shall propose abort."""

    def _make_log(self) -> DecisionLog:
        return DecisionLog()

    @property
    def unfinished(self) -> list[TransactionId]:
        """Of which it will still say something by itself."""
        return list(dict.fromkeys([*self._polls, *self._pending, *self._doubted]))

    def step(self, event: Event) -> None:
        """Raises MalformedInput for an `Agreed` with something else than a proposal."""
        if isinstance(event, Begun):
            self._begin(event.transaction, tuple(dict.fromkeys(event.participants)))
        elif isinstance(event, Agreed):
            self._agreed(event.payload)
        elif isinstance(event, TimePassed):
            self._pass_time(event.now)
        elif isinstance(event, Received):
            self._receive(event.source, event.message)
        self._set_wake()

    # --- as the coordinator ---------------------------------------------------------------------------

    def _begin(self, transaction: TransactionId, participants: tuple[NodeId, ...]) -> None:
        decided = self.log.decided.get(transaction)
        if decided is not None:
            self._effects.outcomes.append(Outcome(transaction, decided.decision))
        elif transaction not in self._polls:
            deadline, retry_at = self._now + self.vote_ms, self._now + self.retry_ms
            self._polls[transaction] = Poll(transaction, participants, deadline, retry_at)
            self._ask(self._polls[transaction])
            self._close(self._polls[transaction])

    def _ask(self, poll: Poll) -> None:
        poll.retry_at = self._now + self.retry_ms
        for each in poll.missing():
            self._send(each, Prepare(poll.transaction, self.nodes))

    def _close(self, poll: Poll) -> None:
        """Propose, if it is time.  What is proposed once is not changed."""
        decision = poll.decision(self._now)
        if decision == Decision.COMMIT:
            votes = tuple(poll.votes.get(each) for each in poll.participants)
            self._propose(Proposal(poll.transaction, decision, poll.participants, votes))
        elif decision == Decision.ABORT:
            self._propose(Proposal(poll.transaction, decision))

    # --- as one who ends what others have begun -------------------------------------------------------

    def _doubt(self, source: NodeId, transaction: TransactionId) -> None:
        """Somebody has voted yes, and does not know."""
        decided = self.log.decided.get(transaction)
        if decided is not None:
            self._send(source, Decided(transaction, decided.decision))
        elif transaction not in self.unfinished:
            self._doubted[transaction] = self._now + self.patience_ms

    # --- the log --------------------------------------------------------------------------------------

    def _propose(self, proposal: Proposal) -> None:
        if proposal.transaction not in self._pending:
            payload = msgspec.msgpack.encode(proposal)
            pending = Pending(payload, self._now + self.retry_ms, self.retry_ms)
            self._pending[proposal.transaction] = pending
            self._effects.proposals.append(payload)

    def _agreed(self, payload: bytes) -> None:
        proposal = self.log.apply(payload)
        if proposal is None:
            return
        self._pending.pop(proposal.transaction, None)
        self._doubted.pop(proposal.transaction, None)
        poll = self._polls.pop(proposal.transaction, None)
        if poll is not None:
            for each in poll.told():
                self._send(each, Decided(poll.transaction, proposal.decision))  # lost? then they will ask
            self._effects.outcomes.append(Outcome(poll.transaction, proposal.decision))

    # --- events ---------------------------------------------------------------------------------------

    def _receive(self, source: NodeId, message: object) -> None:
        if isinstance(message, Voted):
            poll = self._polls.get(message.transaction)
            if poll is not None:
                poll.count(source, message.vote)
                self._close(poll)
            elif message.vote == Vote.YES:
                self._doubt(source, message.transaction)
        elif isinstance(message, Inquiry):
            self._doubt(source, message.transaction)

    def _pass_time(self, now: Instant) -> None:
        self._now = now
        for poll in self._polls.values():
            if poll.transaction not in self._pending:
                self._close(poll)
                if poll.retry_at <= now:
                    self._ask(poll)
        for pending in self._pending.values():
            if pending.retry_at <= now:
                pending.retry_ms = min(2 * pending.retry_ms, MOST_RETRIES_APART * self.retry_ms)
                pending.retry_at = now + pending.retry_ms
                self._effects.proposals.append(pending.payload)
        for transaction, patience in list(self._doubted.items()):
            if patience <= now:
                del self._doubted[transaction]
                self._propose(Proposal(transaction, Decision.ABORT))

    def _set_wake(self) -> None:
        open_polls = [poll for poll in self._polls.values() if poll.transaction not in self._pending]
        instants = [min(poll.retry_at, poll.deadline) for poll in open_polls]
        instants += [pending.retry_at for pending in self._pending.values()]
        instants += self._doubted.values()
        self.wake = min(instants, default=None)
