"""Questions with names, and what was answered, as lines of text that two servers can be compared by.

    put a -> put{header{ids term rev 2}}

A reply is written on one line.  What differs from run to run is written without its value: the ids of cluster
and member and the term (only that they are there), sizes, hashes, indexes of the log, tokens.  Lease ids that
the server chose are numbered in the order in which they were given (`lease#1`), also inside of keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from tests.acceptance.etcd.api import EtcdApi, Silent, Stream

HIDDEN = {
    *("dbSize", "dbSizeInUse", "raftIndex", "raftTerm", "raftAppliedIndex", "leader", "token", "hash"),
    *("version", "name", "peerURLs", "clientURLs", "ID"),
}
"""Fields whose value is not compared, in messages about a member or the store as a whole."""
ABOUT_THE_SERVER = {"StatusResponse", "AuthenticateResponse", "HashResponse", "HashKVResponse", "Member"}
OURS = {"storageVersion", "dbSizeQuota", "downgradeInfo", "hash_revision"}
"""Fields of 3.6, which 3.5 does not have."""
CHOSEN_FROM = 1 << 32
PATIENCE_S = 30.0


class Interview:
    def __init__(self, api: EtcdApi) -> None:
        self.api = api
        self.lines: list[str] = []
        self._leases: dict[str, str] = {}

    def ask(self, question: str, method: str, request: Any = None, /, **fields: Any) -> Any:
        """The reply, or None where it was refused; either is written down."""
        try:
            reply = self.api.call(method, request, **fields)
        except grpc.RpcError as refusal:
            self.say(question, refused(refusal))
            return None
        self.say(question, self.told(reply))
        return reply

    def attempt(self, question: str, action: Callable[[], object]) -> None:
        try:
            self.say(question, str(action()))
        except grpc.RpcError as refusal:
            self.say(question, refused(refusal))
        except Silent:
            self.say(question, "silence")

    def run_out_of_time(self, question: str, method: str, /, **fields: Any) -> None:
        """Ask what is not answered in time.  Who notices first, the client or the server, is chance: both
        have the same deadline, and each says it in his own words."""
        try:
            self.say(question, self.told(self.api.call(method, **fields)))
        except grpc.RpcError as refusal:
            late = "deadline exceeded" in (refusal.details() or "").lower()
            self.say(question, "DEADLINE_EXCEEDED 'Deadline Exceeded'" if late else refused(refusal))

    def hear(self, question: str, stream: Stream, replies: int, within_s: float = PATIENCE_S) -> None:
        """Write down the next replies of a stream, each on a line of its own."""
        for _ in range(replies):
            self.attempt(question, lambda: self.told(stream.next(within_s)))

    def say(self, question: str, answer: str) -> None:
        for number, name in self._leases.items():
            answer = answer.replace(number, name).replace(f"{int(number):x}", name)
        self.lines.append(f"{question} -> {answer}")

    def told(self, message: Any) -> str:
        if message is None:
            return "the end"
        if isinstance(message, (list, tuple)):
            return " ; ".join(map(self.told, message))
        return text_of(self._learn(message))

    def _learn(self, message: Any) -> Any:
        """A lease the server chose an id for gets its number."""
        kind = message.DESCRIPTOR.name
        if kind == "LeaseGrantResponse":
            self.name_lease(message.ID)
        elif kind == "CampaignResponse":
            self.name_lease(message.leader.lease)
        return message

    def name_lease(self, number: int) -> None:
        if number >= CHOSEN_FROM:
            self._leases.setdefault(str(number), f"lease#{len(self._leases) + 1}")


def refused(refusal: grpc.RpcError) -> str:
    return f"{refusal.code().name} {refusal.details()!r}"


def text_of(message: Any) -> str:
    kind = message.DESCRIPTOR.name
    if kind == "ResponseHeader":
        return header_text(message)
    parts = [
        f"{field.name} {value_text(kind, field, value)}"
        for field, value in message.ListFields()
        if field.name not in OURS
    ]
    return f"{{{' '.join(parts)}}}"


def value_text(kind: str, field: Any, value: Any) -> str:
    if kind in ABOUT_THE_SERVER and field.name in HIDDEN:
        return "..."
    if field.is_repeated:
        return f"[{', '.join(one_text(field, each) for each in value)}]"
    return one_text(field, value)


def one_text(field: Any, value: Any) -> str:
    if field.message_type is not None:
        return text_of(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    if isinstance(value, bytes):
        return repr(value)[1:]
    return repr(value)


def header_text(header: Any) -> str:
    said = []
    if header.cluster_id and header.member_id:
        said.append("ids")
    if header.raft_term:
        said.append("term")
    if header.revision:
        said.append(f"rev {header.revision}")
    return f"{{{' '.join(said)}}}"
