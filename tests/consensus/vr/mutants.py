"""Replicas that are wrong in one place each: invariants, contract and world must notice every one.

Each mutant is a subclass with one rule broken; its docstring is the rule, and what breaks where it is
missing.  `RANDOM` lists those that random storms kill; the others are killed by a rule in `rules.py`.
"""
from __future__ import annotations

from typing import Any

import msgspec

from agreed.consensus.machine import Ballot, Effects, LoadChunk
from agreed.consensus.vr.backup import Backup
from agreed.consensus.vr.changing import Changing
from agreed.consensus.vr.messages import (
    Commit,
    DoViewChange,
    Prepare,
    PrepareOk,
    Recovery,
    RecoveryResponse,
    SnapshotPiece,
)
from agreed.consensus.vr.primary import Primary
from agreed.consensus.vr.recovering import Recovering
from agreed.consensus.vr.viewstamped import Viewstamped
from agreed.types import Index, NodeId, Term

# --- the choice of a log ----------------------------------------------------------------------------------


class ChoosesTheLongest(Viewstamped):
    """V1: the last normal view comes before the length: what an old primary numbered alone may be long."""

    class Choosing(Changing):
        def rank(self, message: DoViewChange) -> tuple[int, ...]:
            return (message.last_index,)

    changing_role = Choosing


class ChoosesAnyOfTheNewestView(Viewstamped):
    """V2: of two logs of one view the shorter lacks something."""

    class Choosing(Changing):
        def rank(self, message: DoViewChange) -> tuple[int, ...]:
            return (message.settled,)

    changing_role = Choosing


class AsksOneTooFew(Viewstamped):
    """V3: f DoViewChanges are not enough: the one that is missing may be all that is left of what was
    agreed."""

    class Hasty(Changing):
        def enough(self, names: set[NodeId]) -> bool:
            return len(names) >= len(self.vr.names) // 2

    changing_role = Hasty


class SettlesAtOnce(Viewstamped):
    """A log is one of the new view when it holds all that the view began with, and not before."""

    class Hasty(Changing):
        def _learn_goal(self, began_at: Index) -> None:
            self.goal = self._known()

    changing_role = Hasty


class CountsWhoHasNotJoined(Viewstamped):
    """Who takes over the view's log still vouches for nothing in this view."""

    class Counting(Primary):
        def on_prepare_ok(self, source: NodeId, message: PrepareOk) -> None:
            super().on_prepare_ok(source, msgspec.structs.replace(message, joined=True))

    primary_role = Counting


class CutsBackToItsCommitNumber(Viewstamped):
    """V9: the state transfer of the paper: who hears of a newer view forgets all but what it knows to be
    agreed, and then asks for the rest."""

    def _join(self, view: Term) -> None:
        super()._join(view)
        if self.log.last_index > self.commit and not self.installing:
            self.truncate(self.commit + 1)


class RenumbersWhatItTakesOver(Viewstamped):
    """V10: what belongs to an operation travels with it.  Here that is the view in which it was numbered: it
    goes into the state of the store, as the client table does in the paper (which for us is a part of the
    store, and so of what is agreed)."""

    class Renumbering(Primary):
        def start(self, told: Any) -> None:
            vr = self.vr
            if vr.log.last_index > vr.commit:
                taken = vr.log.between(vr.commit + 1, vr.log.last_index)
                vr.truncate(vr.commit + 1)
                vr.append([msgspec.structs.replace(entry, term=vr.view) for entry in taken])
            super().start(told)

    primary_role = Renumbering


class LosesWhatDoesNotFit(Viewstamped):
    """V10: what does not fit into the DoViewChange is asked for."""

    class Losing(Changing):
        def decide(self) -> None:
            super().decide()
            if self.vr.role is self and self.presides and self.goal is not None:
                self.goal = self.matched
                self.advance()

    changing_role = Losing


# --- views ------------------------------------------------------------------------------------------------


class TakesPreparesOfOldViews(Viewstamped):
    """V5: a view that was left is over."""

    def _on_prepare(self, source: NodeId, message: Prepare) -> None:
        if message.view < self.view and isinstance(self.role, Backup) and not self.installing:
            if message.entries[0].index <= self.log.last_index + 1 and self.merge(message.entries):
                last = message.entries[-1].index
                self.promise(source, PrepareOk(message.view, message.round, last), self.serial)
        else:
            super()._on_prepare(source, message)


class ForgetsItsView(Viewstamped):
    """V11: the view is on the disk before it is spoken of."""

    def _cast(self) -> None:
        super()._cast()
        if self.effects.save is not None:
            self.effects.save.ballot = Ballot(self.log.last_term, None, min(self.settled, self.log.last_term))


class SpeaksBeforeItSaves(Viewstamped):
    """What vouches for a save leaves after the save."""

    def promise(self, target: NodeId, message: object, serial: int) -> None:
        self.send(target, message)


class LeadsItsViewAgain(Viewstamped):
    """A primary that crashed does not go on: what it had numbered and not saved, others may have."""

    def _begin(self) -> None:
        super()._begin()
        if self.view and self.settled == self.view and self.primary_of(self.view) == self.me:
            primary = self.primary_role(self)
            self._take_role(primary)
            self.leader = self.me
            primary.start_again()  # type: ignore[attr-defined]

    class Resuming(Primary):
        def start_again(self) -> None:
            self.began_at = self.vr.log.last_index
            self._beat_at = self.vr.now
            self.own.joined = True
            self.own.matched(self.vr.saved)

    primary_role = Resuming


class StartsBeforeItSaves(Viewstamped):
    """A view begins once: with which log is durable before anybody hears of it."""

    class Hasty(Primary):
        def on_flush(self) -> None:
            serial, self.vr.ballot_serial = self.vr.ballot_serial, 0
            super().on_flush()
            self.vr.ballot_serial = serial

    primary_role = Hasty


class WishesAreOrders(Viewstamped):
    """Who still hears its primary does not leave it because somebody else does not."""

    class Obedient(Backup):
        def listens_to(self, source: NodeId, present: Term) -> bool:
            return True

    backup_role = Obedient


class DeafToThoseWhoLeft(Viewstamped):
    """Who has left our view cannot come back: we have to go where it is."""

    class Deaf(Backup):
        def listens_to(self, source: NodeId, present: Term) -> bool:
            return super().listens_to(source, 0)

    class Faithful(Primary):
        def listens_to(self, source: NodeId, present: Term) -> bool:
            return False

    backup_role, primary_role = Deaf, Faithful


# --- the normal case --------------------------------------------------------------------------------------


class AcknowledgesOverAGap(Viewstamped):
    """V4: a PrepareOk says that all earlier operations are here as well."""

    class Gapped(Backup):
        def on_prepare(self, source: NodeId, message: Prepare) -> None:
            super().on_prepare(source, message)
            if message.entries[0].index > self.vr.log.last_index + 1:
                self.vr.send(source, PrepareOk(self.vr.view, message.round, message.entries[-1].index))

    backup_role = Gapped


class AcknowledgesBeforeItSaves(Viewstamped):
    """An acknowledged entry is durable."""

    class Hasty(Backup):
        def acknowledge(self, source: NodeId, round_number: int) -> None:
            self.vr.send(source, PrepareOk(self.vr.view, round_number, self.vr.log.last_index))

    backup_role = Hasty


class CountsItsOwnUnsavedLog(Viewstamped):
    """A primary's own log counts once saved."""

    class Counting(Primary):
        def on_flush(self) -> None:
            self.own.matched(self.vr.log.last_index)
            self._advance()
            super().on_flush()

    primary_role = Counting


class CommitsWhatItWasTold(Viewstamped):
    """A commit number may be ahead of the log."""

    class Trusting(Backup):
        def _commit(self, commit: int) -> None:
            if commit > self.vr.commit:
                self.vr.commit_to(commit)

    backup_role = Trusting


class CommitGoesBack(Viewstamped):
    """What is agreed stays agreed."""

    class Obeying(Backup):
        def on_commit(self, source: NodeId, message: Commit) -> None:
            super().on_commit(source, message)
            if self.vr.log.mark.index <= message.commit < self.vr.commit:
                self.vr.commit = message.commit

    backup_role = Obeying


class CommitsWhatItAppends(Viewstamped):
    """Nothing is applied before a quorum has it."""

    class Hasty(Backup):
        def on_prepare(self, source: NodeId, message: Prepare) -> None:
            super().on_prepare(source, message)
            self._commit(self.vr.log.last_index)

    backup_role = Hasty


class OverwritesItsOwnLog(Viewstamped):
    """A primary gives each number once."""

    class Overwriting(Primary):
        def on_proposed(self, event: Any) -> None:
            vr = self.vr
            if vr.log.last_index > max(vr.commit, self.began_at):
                vr.truncate(vr.log.last_index)
            super().on_proposed(event)

    primary_role = Overwriting


class ForgetsWhatItWasTold(Viewstamped):
    """A late acknowledgement says less, not more: match never goes back."""

    class Believing(Primary):
        def on_prepare_ok(self, source: NodeId, message: PrepareOk) -> None:
            super().on_prepare_ok(source, message)
            backup = self.progress[source]
            if message.joined and message.match < backup.match:
                backup.match = message.match

    primary_role = Believing


class NeverAsksForWhatItLacks(Viewstamped):
    """A lost Prepare is asked for, or the backup never follows again."""

    def ask_state(self, after: Index) -> None:
        pass


class IgnoresTheWindow(Viewstamped):
    """What may be in flight to one backup is bounded."""

    class Flooding(Primary):
        def on_flush(self) -> None:
            super().on_flush()
            for backup in self.backups:
                while backup.next <= self.vr.log.last_index and not backup.silent and self.vr.ballot_saved:
                    entries = [self.vr.log.entry(backup.next)]
                    self.vr.send(backup.name, Prepare(self.vr.view, self.vr.commit, 1, entries))
                    backup.sent(backup.next, 1000)

    primary_role = Flooding


# --- reads ------------------------------------------------------------------------------------------------


class ReadsBeforeItCommits(Viewstamped):
    """A new primary's commit number is old until all that the view began with is agreed."""

    class Hasty(Primary):
        settled = True  # type: ignore[assignment]

    primary_role = Hasty


class ReadsWithoutAsking(Viewstamped):
    """Only a round that began after the read proves anything about it."""

    class Hasty(Primary):
        def on_read_requested(self, ticket: int) -> None:
            self.vr.read_ready(ticket, self.vr.commit)

    primary_role = Hasty


class AnswersTwice(Viewstamped):
    """Each read is answered once."""

    def read_ready(self, ticket: int, index: Index | None) -> None:
        super().read_ready(ticket, index)
        super().read_ready(ticket, index)


# --- snapshots --------------------------------------------------------------------------------------------


class SpeaksWhileItInstalls(Viewstamped):
    """While a snapshot is installed the log stands still."""

    class Moving(Backup):
        def on_prepare(self, source: NodeId, message: Prepare) -> None:
            vr = self.vr
            if vr.installing and message.entries[0].index == vr.log.last_index + 1:
                vr.append(message.entries)
            else:
                super().on_prepare(source, message)

    backup_role = Moving


class MixesSnapshots(Viewstamped):
    """Two pieces that the disk has at once may be of two snapshots, and end up in one."""

    def _on_snapshot_piece(self, source: NodeId, message: SnapshotPiece) -> None:
        if not self.installing:
            self.incoming._given = self.incoming._held
        super()._on_snapshot_piece(source, message)


class CutsWhatIsNeeded(Viewstamped):
    """What follows a snapshot that is on its way stays in the log until it has been fetched."""

    class Forgetful(Primary):
        def needed_after(self) -> Index | None:
            return None

    primary_role = Forgetful


class ClingsToAnOldSnapshot(Viewstamped):
    """A snapshot that is not followed by the log helps nobody, though it can still be read."""

    def take(self) -> Effects:
        for load in list(self.effects.load_chunks):
            if isinstance(self.role, Primary) and load.index == 0:
                self.effects.load_chunks.remove(load)
                self.effects.load_chunks.append(LoadChunk(load.target, 100, 2))
        return super().take()


# --- recovery without a disk ------------------------------------------------------------------------------


class RecoversWithoutThePrimary(Viewstamped):
    """V6: only the newest view's primary knows how long the log is that was acknowledged."""

    class Hasty(Recovering):
        def _choose(self, answers: dict[NodeId, RecoveryResponse]) -> None:
            vr = self.vr
            view = max(message.view for message in answers.values())
            primary = vr.primary_of(view)
            if view < vr.view or primary == vr.me or view == 0:
                return
            if view > vr.view:
                vr.enter_view(view)
            self.source, self.goal = primary, self._known()
            self.advance()

    recovering_role = Hasty


class VotesWhileItRecovers(Viewstamped):
    """V7: who has forgotten what it vouched for takes part in no view change."""

    class Voting(Recovering):
        def listens_to(self, source: NodeId, present: Term) -> bool:
            return True

    recovering_role = Voting

    def _on_do_view_change(self, source: NodeId, message: DoViewChange) -> None:
        presides = self.primary_of(message.view) == self.me
        if isinstance(self.role, Recovering) and presides and message.view > self.view:
            self.change_view(message.view)
        super()._on_do_view_change(source, message)


class AlwaysTheSameNonce(Viewstamped):
    """V8: an answer to an earlier recovery tells of what was before the last crash."""

    class Constant(Recovering):
        def draw_nonce(self) -> int:
            return 7

    recovering_role = Constant


class AnswersAlthoughNotNormal(Viewstamped):
    """Only those in normal status tell a recovering replica what is true."""

    def _on_recovery(self, source: NodeId, message: Recovery) -> None:
        role = self.role
        if isinstance(role, Recovering):
            last = self.log.last_index
            answer = RecoveryResponse(message.nonce, message.counter, self.view, last, tuple(self.crashes))
            self.send(source, answer)
        super()._on_recovery(source, message)


class ForgetsCrashes(Viewstamped):
    """A DoViewChange that its sender has forgotten since does not count (the crash vectors of 2017)."""

    class Trusting(Changing):
        def _remembered(self, told: dict[NodeId, DoViewChange]) -> dict[NodeId, DoViewChange]:
            return told

    changing_role = Trusting


class FoundsTheClusterAgain(Viewstamped):
    """An empty memory is no sign of a first start."""

    def __init__(self, *arguments: Any) -> None:
        *before, config, dice, now = arguments
        if config.recovery_without_disk:
            config = msgspec.structs.replace(config, founding=True)
        super().__init__(*before, config, dice, now)


RANDOM: list[tuple[type[Viewstamped], int]] = [
    (ChoosesAnyOfTheNewestView, 2),
    (AsksOneTooFew, 2),
    (SettlesAtOnce, 31),
    (CutsBackToItsCommitNumber, 1),
    (RenumbersWhatItTakesOver, 0),
    (LosesWhatDoesNotFit, 2),
    (LeadsItsViewAgain, 3),
    (AcknowledgesOverAGap, 2),
    (AcknowledgesBeforeItSaves, 1),
    (CountsItsOwnUnsavedLog, 0),
    (CommitsWhatItWasTold, 3),
    (CommitGoesBack, 0),
    (CommitsWhatItAppends, 0),
    (OverwritesItsOwnLog, 0),
    (ForgetsWhatItWasTold, 2),
    (NeverAsksForWhatItLacks, 0),
    (ReadsBeforeItCommits, 0),
    (ReadsWithoutAsking, 0),
    (AnswersTwice, 0),
]
"""Those that random storms kill, and the seed to begin with, so that the proof is quick."""

WITHOUT_DISK: list[tuple[type[Viewstamped], int]] = [
    (RecoversWithoutThePrimary, 0),
    (VotesWhileItRecovers, 0),
]
"""The same where crashes lose the disk."""
