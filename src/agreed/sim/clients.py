"""What every simulated client does, whatever protocol it speaks (`zookeeper_clients.py`, `etcd_clients.py`).

A client has one connection at a time, and comes again elsewhere when it breaks or when nobody says anything
on it.  What it is after (`plan.Ask`) it begins when the time has come, several at once: conversations
(`task.py`), which are tried again where they failed or where nobody knows.  Each is written down as an
operation of the history, for the judge at the end.  Besides, it moves, sleeps, stands still, and dies and
comes back as somebody else.

A protocol puts in how it greets a server, asks and reads, and how it stays known there.  This module does not
judge: whether what a client is told is true, its protocol says on the spot.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from agreed.check.history import Status
from agreed.errors import MalformedInput
from agreed.sim.client_link import ClientLink
from agreed.sim.history import Processes
from agreed.sim.outcome import Broken
from agreed.sim.plan import Ask
from agreed.sim.task import Failed, Pause, Task, Unclear
from agreed.sim.world import MS

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node


class Client(ABC):
    """`only`: it never speaks with another node than this."""

    says: ClassVar[tuple[type[Any], type[Any], type[Any]]]
    """How a node is told of its connections: that one is opened, has brought bytes, is closed."""
    functions: ClassVar[Mapping[str, Callable[[Task], Generator[Any, Any, Any]]]]
    judged: ClassVar[Mapping[str, tuple[str, str]]]
    """Function -> in which model's words it goes into the history."""
    acts: ClassVar[tuple[str, ...]]
    """What it does by itself, and holds no conversation for."""
    space: ClassVar[str] = ""
    """Where its keys lie, if they are others than those of the same name (`history.Processes`)."""

    def __init__(
        self, cluster: Cluster, name: str, number: int, asks: Iterable[Ask], only: Node | None = None
    ) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.name, self.number = name, 1_000 + number
        self.dice = cluster.world.stream("client", name)
        self.link_bits = cluster.world.stream("client link", name).bits
        self.link: ClientLink | None = None
        self.seen = 0
        """The newest revision that it was told of."""
        self.ttl_ms = 0
        """How long whatever hangs on it stays when it is not heard of."""
        self.processes = Processes(cluster.recorder, name, self.space)
        self._only = only
        self._asks = deque(asks)
        self._again: deque[tuple[Ask, int]] = deque()
        self._running: list[Task] = []
        self._most = cluster.plan.conditions.pipelined
        self._heard_at = 0
        self._asleep_until = self._stalled_until = 0
        self._unread: list[bytes] = []
        """What has come in while it stood still."""
        self._look_due = False

    @property
    @abstractmethod
    def holder(self) -> int:
        """Session or lease: with it goes what hangs on this client.  0: it has none."""

    # --- the connection -----------------------------------------------------------------------------------

    def begin(self) -> None:
        self.world.later(self.dice.below(50 * MS), self._connect)
        self.world.later(self.dice.below(100 * MS), self._look_after)

    def _connect(self, _: object = None, __: object = None) -> None:
        if self.link is not None:
            return
        if self.world.now < self._asleep_until:
            self.world.at(self._asleep_until, self._connect)
            return
        meeting = self.cluster.meetings.get(self.name)
        if meeting is not None and meeting.serving:
            node = meeting
        else:
            node = self._only or self.dice.pick(list(self.cluster.nodes.values()))
        if not node.serving:
            self.world.later(self.dice.between(5, 60) * MS, self._connect)
            return
        self.link = ClientLink(self.cluster, node, self)
        self._heard_at = self.world.now
        self._greet(node)

    @abstractmethod
    def _greet(self, node: Node) -> None:
        """Begin to speak on a connection that has just been opened."""

    def lost(self, link: ClientLink) -> None:
        if link is not self.link:
            return
        self.link = None
        self._unread.clear()
        self._cut_off()
        running, self._running = self._running, []
        for task in running:
            self._unknown(task, "connection lost")
        self.world.later(self.dice.below(40 * MS), self._connect)

    @abstractmethod
    def _cut_off(self) -> None:
        """Forget what was under way on the connection that broke."""

    def leave(self) -> None:
        """Break the connection."""
        link = self.link
        if link is not None:
            link.abort()
            self.lost(link)

    def _look_after(self, _: object, __: object) -> None:
        if self._stands_still:
            self.world.at(self._stalled_until, self._look_after)
            return
        if self._unread:
            self._read_on()
        self._keep_alive()
        self.look()
        self.world.later(self.dice.between(60, 140) * MS, self._look_after)

    @abstractmethod
    def _keep_alive(self) -> None:
        """From time to time: be heard of, and give up whoever says nothing and what takes too long."""

    def _left_silent(self, patience_ms: int) -> bool:
        """Whether the server has said nothing for longer than that, and was left for it."""
        if self.link is None or self.world.now - self._heard_at <= patience_ms * MS:
            return False
        self.world.mark("client left a silent server")
        self.leave()
        return True

    def heard_by(self, node: Node, link: ClientLink) -> None:  # noqa: B027
        """A server has got something of ours."""

    # --- what it is after ---------------------------------------------------------------------------------

    @property
    @abstractmethod
    def _may_ask(self) -> bool:
        """Whether there is somebody to ask, and something to work on."""

    def look(self, _: object = None, __: object = None) -> None:
        """Begin what is due, as much as may be under way at a time."""
        self._look_due = False
        if not self._may_ask or self._stands_still:
            return
        now_ms = self.world.now // MS
        while self._may_ask and len(self._running) < self._most:
            if self._again:
                ask, attempt = self._again.popleft()
            elif self._asks and self._asks[0].at_ms <= now_ms:
                ask, attempt = self._asks.popleft(), 0
                if ask.function in self.acts:
                    if self._act_in_turn(ask):
                        continue
                    return
            else:
                break
            self._start(ask, attempt)
        self._flush()
        if self._asks and self._asks[0].at_ms > now_ms and not self._look_due:
            self._look_due = True
            self.world.at(self._asks[0].at_ms * MS, self.look)

    def _start(self, ask: Ask, attempt: int) -> None:
        task = Task(self, ask, attempt)
        self._running.append(task)
        if self.world.trace.telling:
            self.world.trace.tell(
                self.world.now, "call", self.name, f"{ask.function} {ask.key}", number=ask.number
            )
        self._go_on(task, None)

    def _go_on(self, task: Task, answer: object) -> None:
        """Give the conversation what it has waited for, and see what it wants next."""
        try:
            step = task.conversation.send(answer)
        except StopIteration as done:
            self._ended(task, Status.OK, done.value)
        except Failed as failed:
            self._ended(task, Status.FAIL, None, str(failed))
        except Unclear as unclear:
            self._running.remove(task)
            self._unknown(task, str(unclear))
        else:
            self._do(task, step)

    def _do(self, task: Task, step: Any) -> None:
        """What a conversation wants: silence, or answers to one request or several."""
        if isinstance(step, Pause):
            self.world.later(step.pause_ms * MS, self._after_pause, task)
            return
        requests = step if isinstance(step, tuple) else (step,)
        task.awaited = [None] * len(requests)
        task.missing = len(requests)
        task.deadline = self.world.now + task.ask.patience_ms * MS
        for place, request in enumerate(requests):
            self._ask(task, place, request)

    @abstractmethod
    def _ask(self, task: Task, place: int, request: Any) -> None:
        """One of its requests; `task.wrote` has to be set where it may change something."""

    def _flush(self) -> None:  # noqa: B027
        """Send what was collected; a protocol that sends each request at once has nothing to do here."""

    def _after_pause(self, task: Task, _: object) -> None:
        if task in self._running:
            self._go_on(task, None)
            self._flush()

    def _answer(self, task: Task | None, place: int, answer: object) -> None:
        """To one request of a task, or to what nobody waits for (any more)."""
        if task is not None and task in self._running:
            task.awaited[place] = answer
            task.missing -= 1
            if not task.missing:
                self._go_on(task, task.awaited[0] if len(task.awaited) == 1 else task.awaited)

    def _ended(self, task: Task, status: Status, result: object, error: str | None = None) -> None:
        self._running.remove(task)
        self._account(task, status, result, error)
        if status is Status.FAIL:
            self._try_again(task)
        if not self._look_due:
            self._look_due = True
            self.world.later(0, self.look)

    def _unknown(self, task: Task, error: str) -> None:
        """Nobody knows whether it has happened, unless it has only read so far."""
        task.conversation.close()
        self._account(task, Status.INFO if task.wrote else Status.FAIL, None, error)
        if self._try_again(task):
            self.world.mark("client tried again")

    def _try_again(self, task: Task) -> bool:
        """Later, unless it was tried often enough."""
        if task.attempt + 1 >= task.ask.attempts:
            return False
        self._again.append((task.ask, task.attempt + 1))
        return True

    def _account(self, task: Task, status: Status, result: object, error: str | None) -> None:
        if task.call is not None:
            revision = self.seen if status is Status.OK else None
            self.processes.end(task.call, status, self.world.now, result, revision, error)
        if self.world.trace.telling:
            text = f"{task.ask.function} {task.ask.key}: {status.value} {result if error is None else error}"
            self.world.trace.tell(self.world.now, "return", self.name, text, number=task.ask.number)

    # --- what it does by itself ---------------------------------------------------------------------------

    def _act_in_turn(self, ask: Ask) -> bool:
        """False: it begins nothing more for now."""
        self._act(ask.function)
        return True

    def _act(self, what: str) -> None:
        """A protocol that has more `acts` does those of its own, too."""
        self.world.mark(f"client: {what}")
        if what == "move":
            self.leave()
        elif what == "sleep":
            self._asleep_until = self.world.now + (self.ttl_ms + self.dice.between(-300, 1_500)) * MS
            self.leave()
        elif what == "stall":
            # The process stands still, and its connection stays: a long pause of its garbage collector.
            self._stalled_until = self.world.now + self.dice.between(self.ttl_ms // 2, self.ttl_ms + 300) * MS
        elif what == "vanish":
            self._forget()
            self.leave()

    @abstractmethod
    def _forget(self) -> None:
        """All that a process forgets when it dies."""

    @property
    def _stands_still(self) -> bool:
        return self.world.now < self._stalled_until

    def retire(self) -> None:
        """Ask for nothing new."""
        self._asks.clear()

    @property
    def at_rest(self) -> bool:
        if self._unread or self._stands_still:
            return False  # who stands still has not seen yet whether what it holds is over
        # Nor has who waits for a machine that lost power: nobody there knows of the connection.
        heard = self.link is not None and self.link.stands
        return heard and not (self._running or self._again or self._asks) and self._awaits_nothing

    @property
    @abstractmethod
    def _awaits_nothing(self) -> bool:
        """Besides what conversations wait for."""

    def standing(self) -> str:
        where = self.link.node.name if self.link else "nowhere"
        tasks = [task.ask.function for task in self._running]
        return f"{self.name} at {where}, after {tasks}, {self._details()}"

    @abstractmethod
    def _details(self) -> str:
        """For somebody who wonders why it does not come to rest."""

    # --- what it is told ----------------------------------------------------------------------------------

    def received(self, link: ClientLink, data: bytes) -> None:
        if link is not self.link:
            return
        if self._stands_still:
            self._unread.append(data)
            return
        self._heard_at = self.world.now
        try:
            messages = self._read(data)
        except MalformedInput as error:
            where = f"{self.name} at {link.node.name}"
            raise Broken("an answer that makes no sense", f"{where}: {error}") from error
        for message in messages:
            self._told(message)
            if self.link is not link:
                return
        self._all_told()

    def _read_on(self) -> None:
        """It stands still no longer."""
        unread, self._unread = self._unread, []
        link = self.link
        for data in unread:
            if link is not None:
                self.received(link, data)
        self._heard_at = self.world.now

    @abstractmethod
    def _read(self, data: bytes) -> Iterable[Any]:
        """The messages that are complete now.  Raises `MalformedInput`."""

    @abstractmethod
    def _told(self, message: Any) -> None:
        """Judge it, and do what follows from it."""

    def _all_told(self) -> None:  # noqa: B027
        """All that has come so far was read."""
