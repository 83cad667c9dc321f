"""All that the log decides, in one place.  `machine.Store` is this, with its door."""
from __future__ import annotations

from agreed.store.events import Event, Feed
from agreed.store.flat import Flat
from agreed.store.leases import Leases
from agreed.store.once import Once
from agreed.store.tree import Tree, first_tree
from agreed.types import Revision, Stamp, Term


class State:
    """What every node has the same after the same commands (except for `fresh` and `feed`).

    revision        of the last command that consumed one
    stamp_ms        the cluster's clock: the stamp of the last payload, never going back
    tree, flat      the two spaces of keys
    leases          sessions and plain leases
    once            which commands were done already
    configuration   the text of /zookeeper/config, as last set by the cluster itself
    feed            the newest events
    fresh           the events since the caller last cleared this list
    term            of the entry that is being applied (in no snapshot: each entry brings its own)
    """

    __slots__ = (
        "configuration", "feed", "flat", "fresh", "leases", "once", "revision", "stamp_ms", "term", "tree",
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
        self.feed = Feed()
        self.fresh: list[Event] = []
