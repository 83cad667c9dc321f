"""Who wants to leave the present view, and for which one (StartViewChange, section 4.2).

The paper has a replica leave its view first and say so afterwards.  Then one that is cut off for a while
comes back in a view far ahead, and the whole cluster has to go there to have it back.  Here a StartViewChange
is a wish: the sender stays in its view, and may go on in it if it hears the primary after all, until a quorum
has the same wish.  Then it leaves, for good, and says so with a DoViewChange; only that one is a promise, and
only that one has to wait for the disk.

One joins a wish that does not reach further than one's own, if one does not hear the primary either; or if
the primary itself wishes it (it hands over, or has been restarted); or if whoever wishes it has left our view
already and could not come back into it.  Of two wishes the one for the higher view wins.
"""
from __future__ import annotations

from agreed.consensus.vr.messages import StartViewChange
from agreed.consensus.vr.state import VrState
from agreed.types import Instant, NodeId, Term


class Wishes:
    def __init__(self, vr: VrState) -> None:
        self._vr = vr
        self.target: Term = 0
        """The view we wish for; 0: none."""
        self._others: dict[NodeId, Term] = {}
        self._say_at: Instant | None = None

    def wish(self, target: Term) -> None:
        if target > max(self.target, self._vr.view):
            self.target = target
            self._say()
            self._count()

    def lose_patience(self) -> None:
        """The primary is silent, or the view change does not end: ask for the next view, or for one further
        if nothing can come of the one that we asked for."""
        vr = self._vr
        if self.target <= vr.view:
            self.wish(vr.next_view(vr.view))
        elif vr.primary_of(self.target) in vr.lost:
            self.wish(vr.next_view(self.target))

    def withdraw(self) -> None:
        """All is well with the present view."""
        if self.target or self._others:
            self.target, self._say_at = 0, None
            self._others.clear()

    def on_start_view_change(self, source: NodeId, message: StartViewChange) -> None:
        vr = self._vr
        if message.view <= vr.view:
            vr.role.on_stray(source, message.view)
            return
        if message.present > message.view:
            return
        known = self._others.get(source, 0)
        self._others[source] = max(known, message.view)
        if message.view > self.target:
            if vr.role.listens_to(source, message.present):
                self.wish(message.view)
        elif message.view < self.target:
            vr.send(source, StartViewChange(self.target, vr.view))
        else:
            self._count()

    def on_view(self) -> None:
        """We have entered a view: wishes that lead no further are fulfilled."""
        view = self._vr.view
        if self.target <= view:
            self.target, self._say_at = 0, None
        self._others = {name: wished for name, wished in self._others.items() if wished > view}

    def on_time(self, now: Instant) -> None:
        if self._say_at is not None and now >= self._say_at:
            self._say()

    def next_wake(self) -> Instant | None:
        return self._say_at

    def _say(self) -> None:
        vr = self._vr
        for name in vr.others:
            vr.send(name, StartViewChange(self.target, vr.view))
        self._say_at = vr.now + vr.config.heartbeat_ms
        vr.arm(self._say_at)

    def _count(self) -> None:
        vr = self._vr
        wishing = {name for name, wished in self._others.items() if wished == self.target}
        if self.target and vr.quorum.has({vr.me, *wishing}):
            vr.change_view(self.target)
