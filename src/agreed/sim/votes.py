"""What acceptors have durably voted for, and so what is chosen, and what may still be.

Whatever the words of a protocol, a value is chosen for a slot once a quorum has voted for it under one
ballot, durably.  A *vote* is

    Multi-Paxos              an accepted pair of ballot and value, for each slot by itself
    Viewstamped Replication  an entry in the log of a replica whose status is normal in that view
    ZAB                      an entry in the history of a node whose currentEpoch is its acceptedEpoch

and who has promised a newer ballot votes under this one no more.  From that follow, for all three of them:

    one value per ballot   nobody votes under one ballot for two values of a slot
    chosen is durable      what anybody says is committed has a quorum of votes under one ballot
    nothing is lost        who begins a ballot proposes whatever may be chosen under an older one: what has,
                           together with those who may still vote for it, a quorum

The last is broken the moment a leader begins with the wrong values; that two nodes commit different ones
takes several more coincidences, and most runs end before.  Votes are never forgotten here, though acceptors
may replace them: what was chosen once is chosen.

All is taken from the saves that a machine asks for, and counts when it is told that they are done: that is
the only way in which it can know.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from agreed.consensus.machine import Ballot, Entry, Save, SnapshotMark
from agreed.consensus.members import Member, Members
from agreed.consensus.multipaxos.slots import from_disk
from agreed.consensus.quorum import Quorum
from agreed.sim.outcome import Broken
from agreed.types import Index, NodeId, Term

Choice = tuple[Term, Term]
"""A ballot, and the term of the value that was voted for under it: with its slot, the value's name."""


class Acceptor:
    """What lies on the disk of one node, as far as its machines were told so."""

    def __init__(self, name: NodeId) -> None:
        self.name = name
        self.ballot = Ballot(0, None)
        self.log: dict[Index, Entry] = {}
        self.last: Index = 0
        self.covered: Index = 0
        """A durable snapshot ends here."""
        self.normal_in: Term = 0
        """The last ballot in which the whole log was a vote."""
        self._under_way: deque[Save] = deque()
        self._promised: Term = 0
        """In the newest save, durable or not."""
        self._written: dict[Index, Choice] = {}
        """Slots as they are in the saves of this life."""

    def recover(self, ballot: Ballot, covered: Index, entries: Iterable[Entry]) -> None:
        """A new life begins with this."""
        self.ballot, self._promised = ballot, ballot.term
        self.covered = covered
        self.log = {entry.index: entry for entry in entries}
        self.last = max(self.log, default=covered)
        self._under_way.clear()
        self._written.clear()

    def will_write(self, save: Save) -> None:
        self._promised = save.ballot.term
        self._under_way.append(save)

    def is_written(self, serial: int) -> list[Save]:
        """The saves that are durable now."""
        done = []
        while self._under_way and self._under_way[0].serial <= serial:
            save = self._under_way.popleft()
            self.ballot = save.ballot
            if save.entries:
                for index in range(save.entries[0].index, self.last + 1):
                    self.log.pop(index, None)
                self.log.update((entry.index, entry) for entry in save.entries)
                self.last = save.entries[-1].index
            done.append(save)
        return done

    def cover(self, index: Index) -> None:
        for each in range(self.covered + 1, index):
            self.log.pop(each, None)
        self.covered = max(self.covered, index)

    def install(self, mark: SnapshotMark) -> None:
        """The log goes as a whole, unless it holds the very entry with which the snapshot ends."""
        kept = self.log.get(mark.index)
        if kept is None or kept.term != mark.term:
            self.log.clear()
            self.last = mark.index
        self.cover(mark.index)

    def holds(self, index: Index) -> bool:
        """Whether something stands there, or a snapshot in its place."""
        return index <= self.covered or index in self.log

    def accepts(self, index: Index, choice: Choice) -> None:
        """This slot is about to be saved.  Raises Broken where it was accepted although a newer ballot had
        been promised in an earlier save."""
        if self._written.get(index) == choice:
            return
        if choice[0] < self._promised and self._held(index) != choice:
            told = f"{self.name} has promised {self._promised}, and accepts {index} under {choice[0]}"
            raise Broken("accepted below a promise", told)
        self._written[index] = choice

    def _held(self, index: Index) -> Choice | None:
        entry = self.log.get(index)
        if entry is None:
            return None
        ballot, value = from_disk(entry)
        return (ballot, value.term) if value is not None else None


class Votes:
    """Of one cluster of these names.  `per_slot`: as Multi-Paxos has them."""

    def __init__(self, names: Iterable[NodeId], *, per_slot: bool) -> None:
        self._per_slot = per_slot
        self._quorum = Quorum(Members(tuple(Member(name, 0, "") for name in names)))
        self.acceptors: dict[NodeId, Acceptor] = {}
        self._cast: dict[Index, dict[Choice, set[NodeId]]] = {}
        self._highest: Index = 0

    # --- what happens to disks ----------------------------------------------------------------------------

    def recovered(self, name: NodeId, ballot: Ballot, covered: Index, entries: list[Entry]) -> None:
        acceptor = self.acceptors.setdefault(name, Acceptor(name))
        acceptor.recover(ballot, covered, entries)
        self._count(acceptor, ballot, entries)

    def saving(self, name: NodeId, save: Save) -> None:
        """Raises Broken."""
        acceptor = self.acceptors[name]
        if self._per_slot:
            for entry in save.entries:
                ballot, value = from_disk(entry)
                if value is not None:
                    acceptor.accepts(entry.index, (ballot, value.term))
        acceptor.will_write(save)

    def saved(self, name: NodeId, serial: int) -> None:
        """Raises Broken."""
        acceptor = self.acceptors[name]
        for save in acceptor.is_written(serial):
            self._count(acceptor, save.ballot, save.entries)

    def forgotten(self, name: NodeId) -> None:
        """Its disk is gone."""
        self.acceptors.pop(name, None)

    # --- votes --------------------------------------------------------------------------------------------

    def _count(self, acceptor: Acceptor, ballot: Ballot, entries: Iterable[Entry]) -> None:
        if self._per_slot:
            for entry in entries:
                accepted, value = from_disk(entry)
                if value is not None:
                    self._vote(acceptor.name, entry.index, (accepted, value.term))
        elif ballot.term == ballot.settled:
            if acceptor.normal_in != ballot.settled:
                acceptor.normal_in = ballot.settled
                entries = list(acceptor.log.values())
            for entry in entries:
                self._vote(acceptor.name, entry.index, (ballot.settled, entry.term))

    def _vote(self, name: NodeId, index: Index, choice: Choice) -> None:
        choices = self._cast.setdefault(index, {})
        voters = choices.get(choice)
        if voters is None:
            for other in choices:
                if other[0] == choice[0]:
                    told = f"{index} under {choice[0]}: {name} votes for {choice[1]}, others for {other[1]}"
                    raise Broken("two values under one ballot", told)
            voters = choices[choice] = set()
            self._highest = max(self._highest, index)
        voters.add(name)

    def has_voted(self, name: NodeId, index: Index, choice: Choice) -> bool:
        acceptor = self.acceptors[name]
        return index <= acceptor.covered or name in self._cast.get(index, {}).get(choice, ())

    def has_voted_since(self, name: NodeId, index: Index, ballot: Term) -> bool:
        """Whether what it has accepted last is of this ballot or a newer one."""
        acceptor = self.acceptors[name]
        entry = acceptor.log.get(index)
        return index <= acceptor.covered or (entry is not None and from_disk(entry)[0] >= ballot)

    # --- what follows from them ---------------------------------------------------------------------------

    def may_vote(self, ballot: Term) -> set[NodeId]:
        """Who has promised no newer one."""
        return {
            name
            for name in self._quorum.voters
            if name not in self.acceptors or self.acceptors[name].ballot.term <= ballot
        }

    def is_quorum(self, names: set[NodeId]) -> bool:
        return self._quorum.has(names)

    def may_lead(self, ballot: Term) -> bool:
        """Whether a quorum may still answer to it."""
        return self._quorum.has(self.may_vote(ballot))

    def is_chosen(self, index: Index, term: Term) -> bool:
        covering = {name for name, acceptor in self.acceptors.items() if acceptor.covered >= index}
        return any(
            choice[1] == term and self._quorum.has(voters | covering)
            for choice, voters in self._cast.get(index, {}).items()
        )

    def check_proposal(self, name: NodeId, index: Index, choice: Choice) -> None:
        """`name` proposes this.  Raises Broken where something else may be chosen under an older ballot."""
        for other, voters in self._cast.get(index, {}).items():
            if other[0] < choice[0] and other[1] != choice[1]:
                self._check_impossible(name, index, other, voters, choice[0])

    def check_log(self, name: NodeId, ballot: Term, after: Index, terms: Mapping[Index, Term]) -> None:
        """`name` begins this ballot with a log of these terms after an index up to which all is committed.
        Raises Broken where it lacks what may be chosen under an older ballot."""
        for index in range(after + 1, self._highest + 1):
            for other, voters in self._cast.get(index, {}).items():
                if other[0] < ballot and other[1] != terms.get(index):
                    self._check_impossible(name, index, other, voters, ballot)

    def _check_impossible(
        self, name: NodeId, index: Index, choice: Choice, voters: set[NodeId], ballot: Term
    ) -> None:
        if self._quorum.has(voters | self.may_vote(choice[0])):
            told = (
                f"{name} begins {ballot} without what may be chosen for {index} under {choice[0]}, "
                f"for which {sorted(voters)} have voted"
            )
            raise Broken("what may be chosen is left out", told)
