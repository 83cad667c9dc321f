"""What etcd clients are after: conversations as in `workload.py`, in the words of etcd.

A conversation yields what it asks (`Say`, one or several at once) and is given the answers; an answer that
is no message is the `Status` that the call ended with.  Whatever is written contains a number that nobody
else ever writes.

    register    read  write  cas  delete    a key; cas by its mod_revision
    set         add  members                keys below a prefix
    counter     increment  value            read, add one, put if unchanged
    lock        acquire                     the Lock service; what the lock guards is put by a transaction
                                            that compares the create_revision of its key, which is the token
    pair        exchange  both              two registers in one transaction
    own         claim                       a key on the client's lease
    compact                                 forget what is older than a little while ago
"""
from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, cast

from agreed.check.history import Status as Ended
from agreed.sim.task import Failed, Pause, Task, Unclear
from agreed.store.ranges import prefix_end
from agreed.wire.etcd.messages import (
    CompactionRequest,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    LockRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
    UnlockRequest,
)
from agreed.wire.grpc.status import Code, Status

if TYPE_CHECKING:
    from agreed.sim.etcd_clients import EtcdClient


class Say:
    """One unary call: `KV/Put`, and its request."""

    def __init__(self, method: str, request: Any) -> None:
        self.method, self.request = method, request


Conversation = Generator[Say | tuple[Say, ...] | Pause, Any, Any]

SURELY_NOT = {
    Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.OUT_OF_RANGE,
    Code.RESOURCE_EXHAUSTED, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED,
}  # fmt: skip


def _fine(reply: Any) -> Any:
    if isinstance(reply, Status):
        if reply.code in SURELY_NOT:
            raise Failed(reply.message)
        raise Unclear(reply.message)
    return reply


def _client(task: Task) -> EtcdClient:
    return cast("EtcdClient", task.client)


def _key(kind: str, task: Task) -> bytes:
    return f"/{kind}/{task.ask.key}".encode()


def _value(kvs: Any) -> int | None:
    return int(kvs[0].value.split(b" ")[0]) if kvs and kvs[0].value else None


def _get(key: bytes, **options: Any) -> Say:
    return Say("KV/Range", RangeRequest(key, **options))


def _put(task: Task, key: bytes, value: int) -> PutRequest:
    return PutRequest(key, task.data(value))


def unchanged(key: bytes, kvs: Any) -> Compare:
    revision = kvs[0].mod_revision if kvs else 0
    return Compare(CompareResult.EQUAL, CompareTarget.MOD, key, mod_revision=revision)


def _if(*compare: Compare, then: tuple[RequestOp, ...]) -> Say:
    return Say("KV/Txn", TxnRequest(compare, then))


def _puts(*requests: PutRequest) -> tuple[RequestOp, ...]:
    return tuple(RequestOp(request_put=request) for request in requests)


# --- registers --------------------------------------------------------------------------------------------


def read(task: Task) -> Conversation:
    return _value(_fine((yield _get(_key("register", task)))).kvs)


def local_read(task: Task) -> Conversation:
    """What this node knows; in no history, for it promises less than a register does."""
    yield _get(_key("register", task), serializable=True)


def write(task: Task) -> Conversation:
    task.argument(task.value)
    _fine((yield Say("KV/Put", _put(task, _key("register", task), task.value))))
    return task.value


def delete(task: Task) -> Conversation:
    """Of what guards no history: a key of its own."""
    key = b"/gone/%b" % task.ask.key.encode()
    _fine((yield Say("KV/Put", _put(task, key, task.value))))
    _fine((yield Say("KV/DeleteRange", DeleteRangeRequest(key))))
    return True


def cas(task: Task) -> Conversation:
    key = _key("register", task)
    task.argument((None, task.value))
    found = _fine((yield _get(key))).kvs
    task.argument((_value(found), task.value))
    done = _fine((yield _if(unchanged(key, found), then=_puts(_put(task, key, task.value)))))
    if not done.succeeded:
        raise Failed("somebody else was faster")
    return True


# --- sets and counters ------------------------------------------------------------------------------------


def add(task: Task) -> Conversation:
    task.argument(task.value)
    key = _key("set", task) + b"/%d" % task.value
    _fine((yield Say("KV/Put", _put(task, key, task.value))))
    return task.value


def members(task: Task) -> Conversation:
    prefix = _key("set", task) + b"/"
    found = _fine((yield _get(prefix, range_end=prefix_end(prefix), keys_only=True))).kvs
    return sorted(int(kv.key.rpartition(b"/")[2]) for kv in found)


def increment(task: Task) -> Conversation:
    key = _key("counter", task)
    task.argument(1)
    for _ in range(4):
        found = _fine((yield _get(key))).kvs
        count = (_value(found) or 0) + 1
        done = _fine((yield _if(unchanged(key, found), then=_puts(_put(task, key, count)))))
        if done.succeeded:
            return count
    raise Failed("somebody else was always faster")


def value(task: Task) -> Conversation:
    return _value(_fine((yield _get(_key("counter", task)))).kvs) or 0


# --- transactions -----------------------------------------------------------------------------------------


ONE, OTHER = b"/pair/a", b"/pair/b"


def exchange(task: Task) -> Conversation:
    writes = (("w", "a", task.value), ("w", "b", task.value))
    task.argument(writes)
    first, second = yield _get(ONE), _get(OTHER)
    first, second = _fine(first).kvs, _fine(second).kvs
    steps = (("r", "a", _value(first)), ("r", "b", _value(second)), *writes)
    task.argument(steps)
    puts = _puts(_put(task, ONE, task.value), _put(task, OTHER, task.value))
    done = _fine((yield _if(unchanged(ONE, first), unchanged(OTHER, second), then=puts)))
    if not done.succeeded:
        raise Failed("somebody else was faster")
    return steps


def both(task: Task) -> Conversation:
    task.argument((("r", "a", None), ("r", "b", None)))
    reads = tuple(RequestOp(request_range=RangeRequest(key)) for key in (ONE, OTHER))
    done = _fine((yield Say("KV/Txn", TxnRequest(success=reads))))
    first, second = (_value(each.response_range.kvs) for each in done.responses)
    return ("r", "a", first), ("r", "b", second)


# --- leases and locks -------------------------------------------------------------------------------------


def claim(task: Task) -> Conversation:
    """A key that goes when the client's lease does, and not before."""
    lease = _client(task).holder
    if not lease:
        raise Failed("no lease")
    key = b"/own/%d" % task.value
    _fine((yield Say("KV/Put", PutRequest(key, task.data(task.value), lease))))
    if _client(task).holder == lease:
        _client(task).lease.owned.add(key)
    return key.decode()


def acquire(task: Task) -> Conversation:
    """Take the lock, put what it guards, let go."""
    lease = _client(task).holder
    if not lease:
        raise Failed("no lease")
    name = _key("lock", task)
    places = _client(task).places
    if (lease, name) in places:
        raise Failed("one lease has one place in a row")
    places.add((lease, name))
    try:
        place = _fine((yield Say("Lock/Lock", LockRequest(name, lease)))).key
        found = _fine((yield _get(place))).kvs
        if not found:
            raise Unclear("the lock was lost before its token was known")
    except (Unclear, Failed, GeneratorExit):
        places.discard((lease, name))
        raise
    token = found[0].create_revision
    task.holds(token)
    yield Pause(task.dice.between(5, 60))
    still = Compare(CompareResult.EQUAL, CompareTarget.CREATE, place, create_revision=token)
    guarded = _key("guarded", task)
    yield from _use(task, token, _if(still, then=_puts(_put(task, guarded, token))))
    if task.dice.chance(300):
        _fine((yield Say("Lock/Unlock", UnlockRequest(place))))
        places.discard((lease, name))
        raise Unclear("whether it was still held nobody knows")
    gone = (RequestOp(request_delete_range=DeleteRangeRequest(place)),)
    released = _fine((yield _if(still, then=gone))).succeeded
    # As long as nobody knows, the same place may still be ours, and would be had twice.
    places.discard((lease, name))
    if not released:
        raise Failed("the lock is not held any more")
    return True


def _use(task: Task, token: int, put: Say) -> Conversation:
    """What the lock guards is put only while the lock is held: so its tokens never go back."""
    client = task.client
    use = client.processes.begin("use", ("lock", task.ask.key), client.world.now)
    use.argument = token
    done = yield put
    now = client.world.now
    if isinstance(done, Status):
        client.processes.end(use, Ended.INFO, now, error=done.message)
    elif done.succeeded:
        client.processes.end(use, Ended.OK, now, True, done.header.revision)
    else:
        client.processes.end(use, Ended.FAIL, now, error="the lock is not held any more")


# --- history ----------------------------------------------------------------------------------------------


def compact(task: Task) -> Conversation:
    revision = _client(task).seen - task.dice.between(0, 30)
    if revision > 1:
        _fine((yield Say("KV/Compact", CompactionRequest(revision))))
        task.client.world.mark("history compacted")
    return None


FUNCTIONS: dict[str, Callable[[Task], Conversation]] = {
    "read": read, "write": write, "delete": delete, "cas": cas, "local read": local_read, "add": add,
    "members": members, "increment": increment, "value": value, "exchange": exchange, "both": both,
    "claim": claim, "acquire": acquire, "compact": compact,
}  # fmt: skip

JUDGED: dict[str, tuple[str, str]] = {
    "read": ("cas-register", "read"), "write": ("cas-register", "write"), "cas": ("cas-register", "cas"),
    "exchange": ("multi-register", "txn"), "both": ("multi-register", "txn"),
    "add": ("set", "add"), "members": ("set", "read"),
    "increment": ("counter", "add-and-get"), "value": ("counter", "read"),
    "acquire": ("lock", "acquire"),
}  # fmt: skip
"""In which model's words each function goes into the history."""

AT_ONCE = ("move", "sleep", "stall", "vanish", "revoke", "watch", "unwatch")
"""What a client does by itself: goes to another node, leaves for about as long as its lease lives, stands
still for so long, dies and comes back without its lease, revokes it; begins a watch, and ends one."""

WISHES = (
    ("read", 10), ("write", 12), ("delete", 6), ("cas", 8), ("local read", 5), ("add", 6), ("members", 3),
    ("increment", 8), ("value", 3), ("exchange", 4), ("both", 3), ("claim", 3), ("acquire", 5),
    ("compact", 2), ("watch", 6), ("unwatch", 2), ("move", 1), ("sleep", 1), ("stall", 1), ("vanish", 1),
    ("revoke", 1),
)  # fmt: skip
