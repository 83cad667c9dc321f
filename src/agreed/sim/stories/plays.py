"""The stories themselves: one for each protocol, as short as its point allows."""
from __future__ import annotations

from collections.abc import Callable

from agreed.consensus import protocols
from agreed.sim.stories.stage import Stage, Story

SETTLED_MS = 500
"""Until everybody knows what is agreed."""
SAVED_MS = 6
"""Until what was just proposed is on the proposer's own disk."""
AGREED_MS = 40
"""Until what was just proposed is agreed, where nothing is lost."""


def raft() -> Story:
    """Ongaro and Ousterhout 2014, 5.2 and 5.3."""
    stage = Stage(protocols.RAFT)
    leader = stage.led_by()
    stage.propose(leader, "a")
    stage.run(SETTLED_MS)
    stage.curtain()
    stage.lose("AppendEntries", source=leader)
    stage.propose(leader, "b")
    stage.run(SAVED_MS)
    stage.propose(leader, "c")
    stage.run(SAVED_MS)
    stage.crash(leader)
    stage.mend()
    successor = stage.led_by()
    stage.say(successor, "leads term 2, with an entry of it")
    stage.run(AGREED_MS)
    stage.propose(successor, "d")
    stage.run(AGREED_MS)
    stage.start(leader)
    stage.quiet = False
    stage.run(until=lambda: stage[leader].last_term == 2)
    stage.say(leader, "b and c are overwritten")
    stage.run(AGREED_MS)
    return stage.story(
        "Raft: a leader crashes, and its log is repaired",
        "b and c reached nobody before n1 crashed. n2 asks first whether it would be elected, then is, "
        "and its first entry is of its own term: only with that is what stands before it agreed. When "
        "n1 is back it hears where the new log goes on, and what nobody else has is overwritten.",
    )


def multipaxos() -> Story:
    """Lamport 2001, section 3."""
    stage = Stage(protocols.MULTIPAXOS)
    leader = stage.led_by()
    stage.propose(leader, "a")
    stage.run(SETTLED_MS)
    stage.curtain()
    stage.lose("Accept", source=leader)
    stage.propose(leader, "b")
    stage.run(SAVED_MS)
    stage.mend()
    stage.lose("Accept", source=leader, target="n2")
    stage.propose(leader, "c")
    stage.run(SAVED_MS)
    stage.crash(leader)
    stage.mend()
    successor = stage.led_by()
    stage.say(successor, "slot 3: filled; slot 4: c again")
    stage.run(AGREED_MS)
    return stage.story(
        "Multi-Paxos: phase 1 finds a value, and a hole before it",
        "b, in slot 3, reached nobody; c, in slot 4, only n3. n2 asks whether the leader is gone for "
        "others too, and prepares all slots from 3 on at once. Of slot 4 it is told c: perhaps that was "
        "chosen, so c is proposed again under the new ballot. In slot 3 nobody has accepted anything, "
        "and it is filled.",
    )


def vr() -> Story:
    """Liskov and Cowling 2012, 4.2."""
    stage = Stage(protocols.VR)
    primary = stage.led_by()
    stage.propose(primary, "a")
    stage.run(SETTLED_MS)
    stage.curtain()
    stage.lose("Prepare", source=primary, target="n3")
    stage.propose(primary, "b")
    stage.run(AGREED_MS)
    stage.crash(primary)
    stage.mend()
    successor = stage.led_by()
    stage.say(successor, "the newest log of a majority has b")
    stage.run(AGREED_MS)
    return stage.story(
        "Viewstamped Replication: a view change",
        "b is agreed by n2 and n1; n3 lacks it. The primary of a view is known by its number: of view 2 "
        "it is n3. A replica leaves its view when another one wants to, and tells the new primary its "
        "log. The newest of a majority's logs has all that was agreed, so b survives although n3 never "
        "got it from n2.",
    )


def zab() -> Story:
    """Junqueira, Reed and Serafini 2011; the phases as ZooKeeper has them."""
    stage = Stage(protocols.ZAB)
    leader = stage.led_by()
    stage.propose(leader, "a")
    stage.run(SETTLED_MS)
    stage.curtain()
    stage.lose("Proposal", source=leader)
    stage.propose(leader, "b")
    stage.run(SAVED_MS)
    stage.crash(leader)
    stage.mend()
    successor = stage.led_by()
    stage.say(successor, "epoch 2 is established")
    stage.run(AGREED_MS)
    stage.start(leader)
    stage.run(70)
    stage.say(leader, "b is gone")
    stage.run(AGREED_MS)
    return stage.story(
        "ZAB: discovery, synchronization, and TRUNC",
        "b reached nobody before n3 crashed. n1 and n2 vote for who has the newest history "
        "(epoch.index), and of equal ones for the higher name. Discovery: a new epoch, above all that a "
        "quorum has accepted. Synchronization: histories are made equal before the epoch is "
        "established. When n3 is back, its 1.3 is not part of that history: it is told to truncate to "
        "1.2.",
    )


PLAYS: dict[str, Callable[[], Story]] = {
    protocols.RAFT: raft,
    protocols.MULTIPAXOS: multipaxos,
    protocols.VR: vr,
    protocols.ZAB: zab,
}
