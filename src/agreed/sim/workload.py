"""What clients are after: each function is a conversation with the cluster, written as a generator.

It yields requests (one, or several to be sent together) and is given the answers; it returns the result of
the operation, or raises `Failed` where that has surely not happened.  If the connection breaks the
conversation is over, and whether it has happened nobody knows, unless it has only read so far.

Whatever is written contains a number that nobody else ever writes, so that every answer tells which write it
has seen.

    register    read  write  cas        a node's data; cas by its version
    set         add  members            children of a node
    queue       enqueue  dequeue        sequential children, the first one goes
    counter     increment  value        read, add one, set by version
    lock        acquire                 ephemeral sequential children; the token is the revision of the first
                                        one, and fences what it guards
    pair        exchange  both          two registers in one transaction, checked by version
    watch       watch                   set a watch and wait for it
    own         claim                   an ephemeral node
"""
from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, cast

from agreed.sim.task import Failed, Pause, Task
from agreed.store.records import OPEN_ACL
from agreed.wire.zookeeper.messages import (
    CheckRequest,
    CreateMode,
    CreateRequest,
    DeleteRequest,
    ErrorCode,
    GetChildrenRequest,
    GetDataRequest,
    MultiReadRequest,
    MultiRequest,
    Request,
    SetDataRequest,
    SyncRequest,
)
from agreed.wire.zookeeper.replies import ErrorReply

if TYPE_CHECKING:
    from agreed.sim.zookeeper_clients import ZooKeeperClient

ROOTS = (b"/register", b"/set", b"/queue", b"/counter", b"/lock", b"/pair", b"/own")
KEYS = ("a", "b", "c")


class Told:
    """Wait until a watch of this path tells something, for so long at most."""

    def __init__(self, path: bytes, within_ms: int) -> None:
        self.path = path
        self.within_ms = within_ms


Step = Request | tuple[Request, ...] | Pause | Told
Conversation = Generator[Step, Any, Any]


def _path(kind: str, task: Task) -> bytes:
    return f"/{kind}/{task.ask.key}".encode()


def _value(data: bytes | None) -> int | None:
    """What stands before the tag that makes it unique."""
    return int(data.split(b" ")[0]) if data else None


def _fine(reply: Any) -> Any:
    if isinstance(reply, ErrorReply):
        raise Failed(ErrorCode(reply.error).name)
    return reply


def _get(path: bytes) -> tuple[Request, ...]:
    """A read that is as new as anything anybody knows."""
    return SyncRequest(path), GetDataRequest(path, False)


# --- what everybody works on ------------------------------------------------------------------------------


def prepare(task: Task) -> Conversation:
    """The nodes that the others work on; a second time does no harm."""
    paths = [*ROOTS]
    for root in ROOTS[:-1]:
        paths += [root + b"/" + key.encode() for key in KEYS]
    replies = yield tuple(CreateRequest(path, b"", OPEN_ACL, CreateMode.PERSISTENT) for path in paths)
    for reply in replies:
        if isinstance(reply, ErrorReply) and reply.error != ErrorCode.NODE_EXISTS:
            raise Failed(ErrorCode(reply.error).name)


# --- register ---------------------------------------------------------------------------------------------


def read(task: Task) -> Conversation:
    _, reply = yield _get(_path("register", task))
    return _value(_fine(reply).data)


def write(task: Task) -> Conversation:
    task.argument(task.value)
    reply = yield SetDataRequest(_path("register", task), task.data(task.value), -1)
    _fine(reply)
    return task.value


def cas(task: Task) -> Conversation:
    path = _path("register", task)
    task.argument((None, task.value))
    found = _fine((yield GetDataRequest(path, False)))
    task.argument((_value(found.data), task.value))
    _fine((yield SetDataRequest(path, task.data(task.value), found.stat.version)))
    return True


def local_read(task: Task) -> Conversation:
    """What this node knows: perhaps not the newest, never older than what this client knows.  In no history:
    it promises less than a register does."""
    reply = yield GetDataRequest(_path("register", task), False)
    return _value(_fine(reply).data)


# --- set --------------------------------------------------------------------------------------------------


def add(task: Task) -> Conversation:
    task.argument(task.value)
    path = _path("set", task) + b"/%d" % task.value
    _fine((yield CreateRequest(path, task.data(task.value), OPEN_ACL, CreateMode.PERSISTENT)))
    return task.value


def members(task: Task) -> Conversation:
    path = _path("set", task)
    _, reply = yield SyncRequest(path), GetChildrenRequest(path, False)
    return sorted(int(name) for name in _fine(reply).children)


# --- queue ------------------------------------------------------------------------------------------------


def enqueue(task: Task) -> Conversation:
    task.argument(task.value)
    path = _path("queue", task) + b"/i"
    _fine((yield CreateRequest(path, task.data(task.value), OPEN_ACL, CreateMode.PERSISTENT_SEQUENTIAL)))
    return task.value


def dequeue(task: Task) -> Conversation:
    path = _path("queue", task)
    for _ in range(4):
        _, reply = yield SyncRequest(path), GetChildrenRequest(path, False)
        names = sorted(_fine(reply).children)
        if not names:
            return None
        first = path + b"/" + names[0]
        found = yield GetDataRequest(first, False)
        if isinstance(found, ErrorReply):
            continue
        gone = yield DeleteRequest(first, -1)
        if not isinstance(gone, ErrorReply):
            return _value(found.data)
    raise Failed("somebody else was always faster")


# --- counter ----------------------------------------------------------------------------------------------


def increment(task: Task) -> Conversation:
    path = _path("counter", task)
    task.argument(1)
    for _ in range(4):
        found = _fine((yield GetDataRequest(path, False)))
        count = (_value(found.data) or 0) + 1
        done = yield SetDataRequest(path, task.data(count), found.stat.version)
        if not isinstance(done, ErrorReply):
            return count
        if done.error != ErrorCode.BAD_VERSION:
            raise Failed(ErrorCode(done.error).name)
    raise Failed("somebody else was always faster")


def value(task: Task) -> Conversation:
    _, reply = yield _get(_path("counter", task))
    return _value(_fine(reply).data) or 0


# --- lock -------------------------------------------------------------------------------------------------


def _client(task: Task) -> ZooKeeperClient:
    return cast("ZooKeeperClient", task.client)


def acquire(task: Task) -> Conversation:
    """Take the lock, use what it guards, let go.  The result is the token: the revision of our place in the
    row, larger for whoever holds the lock later."""
    path = _path("lock", task)
    mode = CreateMode.EPHEMERAL_SEQUENTIAL
    mine = f"{task.client.name}-".encode()
    for name in _fine((yield GetChildrenRequest(path, False))).children:
        # Places of ours of which we were never told, or which we could not give up.
        if name.startswith(mine) and path + b"/" + name not in _client(task).places:
            yield DeleteRequest(path + b"/" + name, -1)
    place = _fine((yield CreateRequest(path + b"/" + mine, task.data(task.value), OPEN_ACL, mode))).path
    task.place = place
    _client(task).places.add(place)
    _client(task).owned.add(place)
    name = place.rpartition(b"/")[2]
    for _ in range(12):
        _, reply = yield SyncRequest(path), GetChildrenRequest(path, True)
        row = sorted(_fine(reply).children, key=_turn)
        if name not in row:
            raise Failed("the session that stood in the row is gone")
        if row[0] == name:
            found = _fine((yield GetDataRequest(place, False)))
            token = found.stat.created_zxid
            task.holds(token)
            yield Pause(task.dice.between(5, 60))
            _client(task).owned.discard(place)
            yield DeleteRequest(place, -1)
            return True
        yield Told(path, 150)
    _client(task).owned.discard(place)
    yield DeleteRequest(place, -1)
    raise Failed("it was never free")


def _turn(name: bytes) -> bytes:
    """The number at the end of a sequential name."""
    return name[-10:]


# --- transactions -----------------------------------------------------------------------------------------


ONE, OTHER = b"/pair/a", b"/pair/b"


def exchange(task: Task) -> Conversation:
    """Read two registers and write both, all or nothing."""
    writes = (("w", "a", task.value), ("w", "b", task.value))
    task.argument(writes)
    first, second = yield GetDataRequest(ONE, False), GetDataRequest(OTHER, False)
    first, second = _fine(first), _fine(second)
    steps = (("r", "a", _value(first.data)), ("r", "b", _value(second.data)), *writes)
    task.argument(steps)
    reply = yield MultiRequest(
        (
            CheckRequest(ONE, first.stat.version), CheckRequest(OTHER, second.stat.version),
            SetDataRequest(ONE, task.data(task.value), -1), SetDataRequest(OTHER, task.data(task.value), -1),
        )
    )  # fmt: skip
    for result in _fine(reply).results:
        if isinstance(result, ErrorReply):
            raise Failed("somebody else was faster")
    return steps


def both(task: Task) -> Conversation:
    """Two registers at once, as new as anything anybody knows."""
    task.argument((("r", "a", None), ("r", "b", None)))
    reads = MultiReadRequest((GetDataRequest(ONE, False), GetDataRequest(OTHER, False)))
    _, reply = yield SyncRequest(ONE), reads
    first, second = (_value(_fine(result).data) for result in _fine(reply).results)
    return ("r", "a", first), ("r", "b", second)


# --- watches, and what hangs on a session -----------------------------------------------------------------


def watch(task: Task) -> Conversation:
    path = _path("register", task)
    _fine((yield GetDataRequest(path, True)))
    told = yield Told(path, 400)
    return told


def claim(task: Task) -> Conversation:
    """A node that must go when this client's session does, and not before."""
    path = b"/own/%d" % task.value
    _fine((yield CreateRequest(path, task.data(task.value), OPEN_ACL, CreateMode.EPHEMERAL)))
    _client(task).owned.add(path)
    return path.decode()


def hangs_on_a_session(path: bytes) -> bool:
    """Whether whatever is there was made to go with its session (`acquire`, `claim`)."""
    return path.startswith(b"/own/") or (path.startswith(b"/lock/") and path.count(b"/") > 2)


FUNCTIONS: dict[str, Callable[[Task], Conversation]] = {
    "read": read, "write": write, "cas": cas, "local read": local_read, "add": add, "members": members,
    "enqueue": enqueue, "dequeue": dequeue, "increment": increment, "value": value, "acquire": acquire,
    "exchange": exchange, "both": both, "watch": watch, "claim": claim, "prepare": prepare,
}  # fmt: skip

JUDGED: dict[str, tuple[str, str]] = {
    "read": ("cas-register", "read"), "write": ("cas-register", "write"), "cas": ("cas-register", "cas"),
    "exchange": ("multi-register", "txn"), "both": ("multi-register", "txn"),
    "add": ("set", "add"), "members": ("set", "read"),
    "enqueue": ("fifo-queue", "enqueue"), "dequeue": ("fifo-queue", "dequeue"),
    "increment": ("counter", "add-and-get"), "value": ("counter", "read"),
    "acquire": ("lock", "acquire"),
}  # fmt: skip
"""In which model's words each function goes into the history.  The others are only judged on the spot."""

AWAY = ("move", "sleep", "stall", "vanish", "close")
"""What a client may do instead: go to another node, leave until its session is about to end, stand still for
about so long, die and come back without its session, end its session."""
