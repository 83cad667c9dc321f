"""The mutants that are Rafts: those of `tests/consensus/raft/mutants.py` under their numbers, and those
that need a whole node around them to be noticed."""
from __future__ import annotations

from agreed.consensus.machine import Ballot, SnapshotMark
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.messages import AppendEntriesReply
from agreed.consensus.raft.progress import Progress
from agreed.consensus.raft.raft import Raft
from agreed.consensus.raft.reads import Reads
from agreed.consensus.raft.state import RaftState
from agreed.sim.parts import Parts
from tests.consensus.raft import mutants as rafts
from tests.sim.mutants.mutant import Mutant


class TakesTheTermOfASnapshot(Raft):
    """R22: a snapshot says what was agreed, and nothing of the term we are in: that never goes back."""

    def restore(self, mark: SnapshotMark) -> None:
        super().restore(mark)
        if mark.term < self.term:
            self.term, self.vote = mark.term, None
            self.ballot = Ballot(self.term, None)


class KeepsTheLogUnderASnapshot(Raft):
    """R20: a log that contradicts a snapshot goes as a whole."""

    def restore(self, mark: SnapshotMark) -> None:
        suffix = self.log.between(mark.index + 1, self.log.last_index)
        super().restore(mark)
        for entry in suffix:
            # As a log would take them that looks at indexes alone.
            if entry.term > self.log.last_term:
                self.log.append([entry])
            else:
                self.log._entries.append(entry)
                self.log.last_index = entry.index


class NeverBacksUp(Raft):
    """R36: a follower whose log differs is asked further back, or it never follows again."""

    class Stubborn(Leader):
        def _back_up(self, follower: Progress, message: AppendEntriesReply) -> None:
            """Once a heartbeat it hears the same again."""

    leader_role = Stubborn


class UnreducedLease(Reads):
    def answered(self, round_number: int) -> None:
        answered = [instant for number, instant in self._began if number <= round_number]
        super().answered(round_number)
        if answered:
            whole = answered[-1] + self._raft.config.election_timeout_ms[0]
            self._lease_until = max(self._lease_until, whole)


class TrustsAllClocks(Raft):
    """R26: a lease ends before the fastest of the other clocks could have seen it end."""

    class Trusting(Leader):
        def __init__(self, raft: RaftState) -> None:
            super().__init__(raft)
            self.reads = UnreducedLease(raft)

    leader_role = Trusting


RAFTS: dict[str, tuple[type[Raft], tuple[str, ...]]] = {
    "R1": (rafts.SpeaksBeforeItSaves, ("swarm", "disk")),
    "R2": (rafts.ForgetsItsVote, ("swarm", "disk")),
    "R3": (rafts.VotesForAnyLog, ("swarm",)),
    "R4": (rafts.ComparesOnlyLength, ("network", "swarm")),
    "R5": (rafts.ComparesOnlyTerms, ("swarm",)),
    "R6": (rafts.CommitsOldTermsByCounting, ("network", "swarm")),
    "R7": (rafts.JoinsAnyLog, ("network", "swarm")),
    "R8": (rafts.TruncatesWithoutConflict, ("network", "swarm")),
    "R9": (rafts.KeepsWhatConflicts, ("network", "swarm")),
    "R10": (rafts.CommitsWhatItWasTold, ("network", "swarm")),
    "R11": (rafts.CommitGoesBack, ("swarm",)),
    "R12": (rafts.BelievesTheLastWord, ("network", "swarm")),
    "R13": (rafts.CountsOldVotes, ("network", "swarm")),
    "R14": (rafts.CountsAVoteTwice, ("network", "swarm")),
    "R15": (rafts.HalfIsEnough, ("swarm",)),
    "R16": (rafts.CountsItsOwnUnsavedLog, ("disk", "swarm")),
    "R17": (rafts.AcknowledgesBeforeItSaves, ("disk", "swarm")),
    "R18": (rafts.StaysInItsTerm, ("network", "swarm")),
    "R19": (rafts.OverwritesItsOwnLog, ("swarm",)),
    "R20": (KeepsTheLogUnderASnapshot, ("returns",)),
    "R21": (rafts.TakesAnOlderSnapshot, ("network", "swarm")),
    "R22": (TakesTheTermOfASnapshot, ("network", "swarm")),
    "R24": (rafts.ReadsBeforeItCommits, ("network", "swarm")),
    "R25": (rafts.ReadsByAnEarlierRound, ("network", "swarm")),
    "R26": (TrustsAllClocks, ("loose clocks",)),
    "R27": (rafts.KeepsItsLease, ("clock", "membership")),
    "R28": (rafts.ChangesTwiceAtOnce, ("membership",)),
    "R29": (rafts.ChangesBeforeItCommits, ("membership",)),
    "R30": (rafts.CountsOnlyTheNewSet, ("membership",)),
    "R31": (rafts.RaisesItsTermForAPreVote, ("network", "swarm")),
    "R34": (rafts.CommitsWhatItAppends, ("swarm",)),
    "R35": (rafts.CalmedByAnybody, ("swarm",)),
    "R36": (NeverBacksUp, ("network", "swarm")),
}

MUTANTS = [Mutant(number, raft, Parts(raft=raft), profiles) for number, (raft, profiles) in RAFTS.items()]
