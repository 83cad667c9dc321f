"""Snapshots that are received (§7).  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import (
    Saved,
    SnapshotInstalled,
    SnapshotMark,
)
from agreed.consensus.raft.messages import (
    InstallSnapshot,
)
from tests.consensus.raft import mutants
from tests.consensus.raft.lone import Factory, Lone, append, rule
from tests.consensus.stage import members_of

# --- §7 snapshots -----------------------------------------------------------------------------------------

MARK = SnapshotMark(5, 2, members_of("n1", "n2", "n3"))


def piece(offset: int = 0, *, done: bool = True, mark: SnapshotMark = MARK, term: int = 3) -> InstallSnapshot:
    return InstallSnapshot(term, mark, offset, b"piece", done)


@rule(mutants.TakesAnOlderSnapshot)
def a_snapshot_of_what_we_have_takes_nothing_back(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.hear("n1", append(3, "0@0", "1@1 2@1 3@2 4@2 5@2 6@3 7@3", commit=6))
    lone.saved()
    effects = lone.hear("n1", piece())
    assert effects.save_chunks == []
    assert lone.raft.log.last_index == 7
    assert lone.raft.commit == 6


@rule()
def a_snapshot_that_our_log_reaches_only_moves_the_commit_index(factory: Factory) -> None:
    lone = Lone(factory, term=3, log="1@1 2@1 3@2 4@2 5@2 6@3")
    effects = lone.hear("n1", piece())
    assert [entry.index for entry in effects.commit] == [1, 2, 3, 4, 5]
    assert lone.raft.log.last_index == 6


@rule(mutants.KeepsASuffixUnderASnapshot)
def a_log_that_contradicts_a_snapshot_goes_as_a_whole(factory: Factory) -> None:
    lone = Lone(factory, term=3, log="1@1 2@1 3@1 4@1 5@3 6@3")
    (chunk,) = lone.hear("n1", piece()).save_chunks
    assert chunk.done
    lone.do(SnapshotInstalled(MARK))
    assert (lone.raft.log.base_index, lone.raft.log.last_index, lone.raft.commit) == (5, 5, 5)
    assert lone.raft.term == 3, "a snapshot does not lower the term"


@rule(mutants.AppendsWhileItInstalls)
def the_log_stands_still_while_a_snapshot_is_installed(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.hear("n1", piece())
    lone.hear("n1", append(3, "0@0", "1@1"))
    assert lone.raft.log.last_index == 0


@rule()
def the_last_piece_waits_until_nothing_is_being_saved(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.hear("n1", append(3, "0@0", "1@1"))
    assert lone.hear("n1", piece()).save_chunks == []
    (chunk,) = lone.do(Saved(lone.pending.pop())).save_chunks
    assert chunk.done


@rule()
def another_snapshot_begins_the_transfer_anew(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.hear("n1", piece(done=False))
    newer = SnapshotMark(8, 3, MARK.members)
    assert lone.hear("n1", piece(5, done=False, mark=newer)).save_chunks == []
    (chunk,) = lone.hear("n1", piece(0, done=False, mark=newer)).save_chunks
    assert (chunk.mark, chunk.offset) == (newer, 0)


