"""Who may speak to whom: the first meeting of the founders, and disks that were lost or copied.

A cluster is founded once.  Each founder starts with an empty directory, the names of all founders and an
identity of its own, a random number that lives in that directory.  When a node has heard the identities of
*all* founders it knows the first members and with them the cluster's number, the same on every node; only
then does it vote or accept anything.  So from the first vote on, every vote has an identity behind it.

The story this prevents: n1 and n2 acknowledge a write that n3 has not got; n2 loses its disk and comes back
empty.  If it still were "n2", then n2 and n3 could elect n3, and the acknowledged write would be gone.  Here
n2 comes back with another identity, is told so by n1 and n3, and takes no part until an operator replaces the
member (`agreed member replace n2`), which is itself an agreed change.

A copied directory has the identity of the original.  `life` counts its starts and `boot` is drawn at each:
whoever comes with an older life, or the same life and another boot, is a copy, and is refused.
"""

from __future__ import annotations

import hashlib

from agreed.consensus.members import Member, Members, everybody
from agreed.types import Identity, NodeId
from agreed.wire.peer.messages import PROTOCOL_VERSION, Hello


def cluster_number(founders: Members) -> int:
    """63 bits of SHA-256 over the founders' names and identities; never 0."""
    text = ";".join(
        f"{member.name}={member.identity}" for member in sorted(founders.voters, key=lambda m: m.name)
    )
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1 or 1


def mixed(theirs: Hello, ours: str) -> str:
    """Why a cluster of two protocols is none."""
    return (
        f"{theirs.member.name} was started with --consensus {theirs.consensus}, this node with {ours}: all "
        "nodes of a cluster speak one protocol"
    )


class Founding:
    """A node without a cluster: gathers hellos until it knows the founders, or finds that it is too late."""

    def __init__(
        self, me: Member, founders: frozenset[NodeId], joining: bool, consensus: str = "raft"
    ) -> None:
        self.me = me
        self._consensus = consensus
        self.problem: str | None = None
        self.result: tuple[int, Members] | None = None
        self._founders = founders
        self._joining = joining
        self._heard: dict[NodeId, Member] = {me.name: me}
        self._decide()

    @property
    def missing(self) -> list[NodeId]:
        return sorted(self._founders - self._heard.keys())

    def heard(self, hello: Hello) -> None:
        if self.result is not None:
            return
        if hello.consensus != self._consensus:
            self.problem = mixed(hello, self._consensus)
            return
        if hello.cluster == 0:
            if hello.member.name in self._founders and hello.member.name != self.me.name:
                self._heard[hello.member.name] = hello.member
            self._decide()
            return
        standing = {member.name: member for member in hello.members.voters + hello.members.learners}
        known = standing.get(self.me.name)
        founder = next((m for m in hello.founders.voters if m.name == self.me.name), None)
        if known is not None and known.identity in (0, self.me.identity):
            self.result = (hello.cluster, hello.founders)
        elif known is None and founder is not None and founder.identity == self.me.identity:
            self.problem = f"{self.me.name} was removed from this cluster"
        elif known is not None:
            self.problem = (
                f"the data directory of {self.me.name} is empty, but the cluster knows {self.me.name} with "
                f"another one: run `agreed member replace {self.me.name}` on a healthy cluster"
            )
        elif self._joining:
            self.problem = f"not a member yet: run `agreed member add {self.me.name}`"
        else:
            self.problem = (
                f"the cluster exists and {self.me.name} is not in it: start with --join, then run "
                f"`agreed member add {self.me.name}`"
            )

    def _decide(self) -> None:
        if self._joining or self.missing:
            return
        members = Members(tuple(self._heard[name] for name in sorted(self._founders)))
        self.result = (cluster_number(members), members)


class Admission:
    """A member's rule for who is heard.  Remembers the newest life of each name while this process runs."""

    def __init__(self) -> None:
        self._newest: dict[NodeId, tuple[int, int, int]] = {}

    def refuse(self, mine: Hello, theirs: Hello) -> str | None:
        """Why nothing more is heard on this connection, or None."""
        if theirs.version != PROTOCOL_VERSION:
            return f"speaks version {theirs.version} of the peer protocol, here it is {PROTOCOL_VERSION}"
        if theirs.consensus != mine.consensus:
            return mixed(theirs, mine.consensus)
        if theirs.cluster == 0 or mine.cluster == 0:
            return None
        if theirs.cluster != mine.cluster:
            return f"{theirs.member.name} belongs to another cluster"
        name, identity = theirs.member.name, theirs.member.identity
        if name == mine.member.name:
            return f"{name} is my own name"
        known = next((m for m in all_members(mine.members) if m.name == name), None)
        # Members come with the log, so whose log is newer (§5.4.1) knows the newer ones.  How far one has
        # *applied* the log says nothing: after a restart that is nothing, and if the only one that has the
        # log had just been started, nobody would listen to it, and it would never learn what is agreed.
        newer = (theirs.log_term, theirs.log_index) > (mine.log_term, mine.log_index)
        listed = any(m.name == name and m.identity == identity for m in all_members(theirs.members))
        if known is not None and known.identity not in (0, identity) and not (newer and listed):
            return (
                f"{name} is known with another data directory (lost or replaced?): "
                f"run `agreed member replace {name}`"
            )
        newest_identity, newest_life, newest_boot = self._newest.get(name, (0, 0, 0))
        older = theirs.life < newest_life or (theirs.life == newest_life and theirs.boot != newest_boot)
        if identity == newest_identity and older:
            return f"a copy of the data directory of {name} is running: only one of them may"
        self._newest[name] = (identity, theirs.life, theirs.boot)
        return None


class Holders:
    """Whose disk has a name, by the newest set of members that this node knows."""

    def __init__(self) -> None:
        self._members: Members | None = None
        self._holders: dict[NodeId, Identity] = {}

    def of(self, name: NodeId, members: Members) -> Identity:
        """0 where nobody's has."""
        if members is not self._members:
            self._members = members
            self._holders = {member.name: member.identity for member in everybody(members).values()}
        return self._holders.get(name, 0)


class Caller:
    """Who speaks on a connection that was let in."""

    __slots__ = ("_holder", "_identity", "name")

    def __init__(self, member: Member, holder: Identity) -> None:
        """`holder`: whose disk has that name now."""
        self.name = member.name
        self._identity = member.identity
        self._holder = holder

    def is_replaced(self, holder: Identity) -> bool:
        """The story: n2 still answers while another disk gets its name.  One answer is on its way; the leader
        would take it for the new one's, believe that this has what the old one had, and never send it."""
        return holder not in (self._holder, self._identity, 0)


def all_members(members: Members) -> tuple[Member, ...]:
    """Voters, learners and those on their way out."""
    return members.voters + members.learners + members.outgoing
