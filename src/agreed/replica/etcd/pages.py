"""The pages beside the API, as etcd 3.5 shows them: for people, probes and collectors.

    /version     what to take this server for
    /health      a linearizable read works, and there is no alarm (`?exclude=NOSPACE`, `?serializable=true`)
    /livez       is the process worth keeping: a local read works
    /readyz      may it have traffic: linearizable reads work, data are not corrupt, it has a vote
    /metrics     `metrics.py`

`/livez` and `/readyz` take `?verbose` and `?exclude=<check>`, and show one check alone at `/readyz/<check>`.
None of them asks who is asking, and none shows what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import msgspec

from agreed.replica.etcd import gateway_answers as answers
from agreed.replica.etcd import metrics
from agreed.replica.etcd.calls import Call, Caller
from agreed.replica.etcd.gateway_answers import NO_SNIFFING, TEXT, Answer
from agreed.store.alarms import AlarmKind
from agreed.wire.etcd import errors
from agreed.wire.etcd.json_mapping import json_text
from agreed.wire.etcd.services import METHODS
from agreed.wire.etcd.version import CLUSTER_VERSION, SERVER_VERSION
from agreed.wire.grpc.status import Status

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

Then = Callable[[Answer], None]
_METRICS_TYPE: Final = (b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8")
_RANGE: Final = METHODS["/etcdserverpb.KV/Range"]


class Target(msgspec.Struct, frozen=True):
    path: str
    query: str = ""

    def values(self, name: str) -> list[str]:
        return parse_qs(self.query, keep_blank_values=True).get(name, [])


def ask(front: EtcdClients, caller: Caller, method: str, target: Target, then: Then) -> Call | None:
    """`then` is called with the answer, at once or later; the call is what it waits with, until then."""
    path = target.path
    known = path == "/health" or path in _PAGES or path in _CHECK_PAGES
    if not known:
        then(answers.NOT_FOUND)
    elif method != "GET":
        then(answers.ONLY_GET)
    elif path == "/health":
        return _health(front, caller, target, then)
    elif path in _CHECK_PAGES:
        return _checked(front, caller, target, then)
    else:
        then(_PAGES[path](front))
    return None


def authentication_is_on(front: EtcdClients) -> bool:
    return front.replica.store.users.enabled


# --- pages that are known at once -----------------------------------------------------------------------


def _version(front: EtcdClients) -> Answer:
    told = {"etcdserver": SERVER_VERSION, "etcdcluster": CLUSTER_VERSION}
    return Answer(200, json_text(told), (answers.JSON,))


def _metrics(front: EtcdClients) -> Answer:
    return Answer(200, metrics.exposition(front), (_METRICS_TYPE,))


# --- reading as a check ---------------------------------------------------------------------------------


class _Probe:
    """The transport of a call that nobody sent: it only waits for a linearizable read."""

    def __init__(self, outcome: Callable[[Status | None], None]) -> None:
        self._outcome = outcome

    def reply(self, call: Call, message: msgspec.Struct) -> None:
        self._outcome(None)

    def ended(self, call: Call, status: Status) -> None:
        self._outcome(status)

    def messages(self, call: Call, messages: Sequence[msgspec.Struct]) -> None:
        pass

    def backlog(self, call: Call) -> int:
        return 0


def _linearizable(front: EtcdClients, caller: Caller, outcome: Callable[[Status | None], None]) -> Call:
    """`outcome` is called with what went wrong, or None."""
    call = Call(_Probe(outcome), 0, _RANGE, {}, caller, None)
    front.after_barrier(call, lambda: call.reply(_RANGE.reply()))
    return call


def _local(front: EtcdClients) -> Status | None:
    return errors.STOPPED if front.replica.problem is not None else None


# --- /health --------------------------------------------------------------------------------------------


def _health(front: EtcdClients, caller: Caller, target: Target, then: Then) -> Call | None:
    serializable = target.values("serializable") == ["true"]
    reason = _alarm(front, target.values("exclude"))
    if not reason and not serializable and front.replica.machine.leader is None:
        reason = "RAFT NO LEADER"
    if not reason and serializable:
        reason = _range_error(_local(front))
    if reason or serializable:
        then(_healthy(front, reason))
        return None
    return _linearizable(front, caller, lambda status: then(_healthy(front, _range_error(status))))


def _alarm(front: EtcdClients, excluded: list[str]) -> str:
    alarms = front.replica.store.alarms
    if AlarmKind.NO_SPACE in alarms and "NOSPACE" not in excluded:
        return "ALARM NOSPACE"
    if AlarmKind.CORRUPT in alarms and "CORRUPT" not in excluded:
        return "ALARM CORRUPT"
    return ""


def _range_error(status: Status | None) -> str:
    return "" if status is None else f"RANGE ERROR:{status.message}"


def _healthy(front: EtcdClients, reason: str) -> Answer:
    counters = front.counters
    if reason:
        counters.health_failures += 1
    else:
        counters.health_successes += 1
    told = {"health": "false" if reason else "true", "reason": reason}
    text = json_text(told)
    return answers.plain(503, text.decode()) if reason else Answer(200, text)


# --- /livez and /readyz ---------------------------------------------------------------------------------


def _corruption(front: EtcdClients) -> str:
    return "alarm activated: CORRUPT" if AlarmKind.CORRUPT in front.replica.store.alarms else ""


def _local_read(front: EtcdClients) -> str:
    return _range_error(_local(front))


def _learner(front: EtcdClients) -> str:
    replica = front.replica
    learns = any(member.name == replica.name for member in replica.members.learners)
    return "node is a learner" if learns else ""


_LOCAL_CHECKS: Final[dict[str, Callable[[EtcdClients], str]]] = {
    "data_corruption": _corruption,
    "serializable_read": _local_read,
    "non_learner": _learner,
}
_CHECKS: Final = {
    "/livez": ("serializable_read",),
    "/readyz": ("data_corruption", "serializable_read", "linearizable_read", "non_learner"),
}
_CHECK_PAGES: Final = {
    **_CHECKS,
    **{f"{page}/{check}": (check,) for page, checks in _CHECKS.items() for check in checks},
}


def _checked(front: EtcdClients, caller: Caller, target: Target, then: Then) -> Call | None:
    excluded = target.values("exclude")
    names = [name for name in _CHECK_PAGES[target.path] if name not in excluded]
    verbose = bool(target.values("verbose"))

    def finish(status: Status | None) -> None:
        failures = {
            name: _range_error(status) if name == "linearizable_read" else _LOCAL_CHECKS[name](front)
            for name in names
        }
        then(_checks_answer(failures, verbose))

    if "linearizable_read" in names:
        return _linearizable(front, caller, finish)
    finish(None)
    return None


def _checks_answer(failures: dict[str, str], verbose: bool) -> Answer:
    lines = "".join(
        f"[-]{name} failed: {why}\n" if why else f"[+]{name} ok\n" for name, why in failures.items()
    )
    if any(failures.values()):
        return answers.plain(503, lines)
    return Answer(200, ((lines if verbose else "") + "ok\n").encode(), (TEXT, NO_SNIFFING))


_PAGES: Final[dict[str, Callable[[EtcdClients], Answer]]] = {
    "/version": _version,
    "/metrics": _metrics,
}
