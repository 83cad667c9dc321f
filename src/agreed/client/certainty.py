"""For how long a session surely lives, whatever its connection does.  Pure.

The leader lets a session end when it has not heard of it for its time.  So we count from the sending of the
newest of which the leader has surely heard, by a clock that may be slower than the leader's.  (If we counted
from the last answer, a follower that is cut off would make us believe in a session that the leader has given
up, and in the lock that hangs on it.)  Of the handshake it is certain, which goes through the log.  Of what
is said later it is certain once something else was answered that was sent a while later:

    anything, `UNREPORTED_S` later      a node of this package that is cut off answers for less than that
    what the leader has a part in, a    the server tells the leader every 0.2 s, or every half tick, whom it
    write or a sync, `REPORTED_S`       heard, and what goes between the two keeps its order: so that had been
    later (`by_sync`)                   told before

The second is for ZooKeeper, of which a follower that is cut off answers reads and pings for as long as
`syncLimit` says, 10 s mostly; and for sessions so short that the first would leave nothing of them.  They
send a sync with each ping, and ping more often.  What is left of ZooKeeper: a leader that was deposed and
does not notice for a while, and whose successor noticed at once.

It rests on `close` not being called, and on nobody else having the session's password.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from agreed.wire.zookeeper.messages import (
    CreateRequest,
    DeleteRequest,
    MultiRequest,
    Request,
    SetAclRequest,
    SetDataRequest,
    SyncRequest,
)

UNREPORTED_S: Final = 3.5
"""For so long a server may answer that is cut off from the leader, without the leader's hearing of us.  A
follower lets its clients go 3 s after the last report of whom it heard was noted, and reports several times
a second; a leader that was deposed and does not know takes no longer (`replica/upkeep.py`; with the usual
election timeouts).  What the leader lets sessions live longer is for what messages between nodes take."""

REPORTED_S: Final = 2.0
"""More than a server takes to report whom it heard: 0.2 s, or half a tick, of which the longest that
is usual is 3 s."""

SHORT_S: Final = 8.0
"""A session that is shorter is certain by syncs only."""

MOMENTS_APART_S: Final = 0.25
"""How finely it is remembered when we were heard."""

CLOCK_RATE_BOUND: Final = 0.05
"""How much faster the leader's clock may run than ours; the knob of the server with this name."""

BY_THE_LEADER: Final = (
    SyncRequest,
    CreateRequest,
    DeleteRequest,
    SetDataRequest,
    SetAclRequest,
    MultiRequest,
)


class Certainty:
    """`by_sync`: see above.  `alone`: a cluster of one, in which whoever answers leads and has heard."""

    def __init__(self, by_sync: bool, alone: bool) -> None:
        self.by_sync = by_sync and not alone
        self.alone = alone
        self._heard_of_us: deque[float] = deque()
        """When we said what was answered.  The first is the newest of which the leader surely knows."""
        self._answered_at = 0.0

    def proves(self, request: Request) -> bool:
        """An answer to it says something about the leader."""
        return not self.by_sync or isinstance(request, BY_THE_LEADER)

    def greeted(self, sent_at: float) -> None:
        """The handshake that was sent then has been answered."""
        self._heard_of_us = deque([sent_at])
        self._answered_at = sent_at

    def answered(self, sent_at: float) -> None:
        """What was sent then, and proves something, has been answered."""
        self._answered_at = max(self._answered_at, sent_at)
        moments = self._heard_of_us
        if self.alone:
            moments[0] = self._answered_at
            return
        if sent_at >= moments[-1] + MOMENTS_APART_S:
            moments.append(sent_at)
        later_s = REPORTED_S if self.by_sync else UNREPORTED_S
        while len(moments) > 1 and moments[1] <= self._answered_at - later_s:
            moments.popleft()

    def remaining_s(self, now: float, timeout_s: float) -> float:
        """Of a session that lives for `timeout_s` unheard; 0: unknown."""
        if not self._heard_of_us:
            return 0.0
        return max(0.0, self._heard_of_us[0] + timeout_s * (1 - CLOCK_RATE_BOUND) - now)
