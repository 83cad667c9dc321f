"""All that the log decides, in one place.  `machine.Store` is this, with its door."""
from __future__ import annotations

from agreed.store.alarms import Alarms
from agreed.store.etcd_members import EtcdMembers
from agreed.store.events import Event, Feed
from agreed.store.flat import Flat
from agreed.store.leases import Leases
from agreed.store.once import Once
from agreed.store.tree import Tree, first_tree
from agreed.store.users import Users
from agreed.types import Revision, Stamp, Term


class State:
    """What every node has the same after the same commands (except for `fresh` and `feed`).

    revision        of the last command that consumed one
    stamp_ms        the cluster's clock: the stamp of the last payload, never going back
    tree, flat      the two spaces of keys
    leases          sessions and plain leases
    once            which commands were done already
    configuration   the text of /zookeeper/config, as last set by the cluster itself
    users           users, roles and tokens of the flat space
    alarms          what an operator must look at
    etcd_members    the members as clients of etcd are told of them
    guarded         whether authentication is on or an alarm stands: then each command is looked at before
                    it is done (`guarded.py`)
    feed            the newest events
    fresh           the events since the caller last cleared this list
    term            of the entry that is being applied (in no snapshot: each entry brings its own)
    """

    __slots__ = (
        "alarms", "configuration", "etcd_members", "feed", "flat", "fresh", "guarded", "leases", "once",
        "revision", "stamp_ms", "term", "tree", "users",
    )  # fmt: skip

    def __init__(self) -> None:
        self.revision: Revision = 0
        self.stamp_ms: Stamp = 0
        self.term: Term = 0
        self.tree: Tree = first_tree()
        self.flat = Flat()
        self.leases = Leases()
        self.once = Once()
        self.configuration = b""
        self.users = Users()
        self.alarms = Alarms()
        self.etcd_members = EtcdMembers()
        self.guarded = False
        self.feed = Feed()
        self.fresh: list[Event] = []

    def note_guarded(self) -> None:
        """Authentication or an alarm was switched on or off."""
        self.guarded = self.users.enabled or len(self.alarms) > 0
