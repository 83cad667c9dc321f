"""Plays one script on one server, and brings what it said into a form that two servers can be compared by.

Each reply is a message, changed in place: revisions count from the beginning of the script, ids become 1, a
lease whose id the server chose too; what has no order is sorted; a remaining time to live that fits to the
granted one becomes it.

What a watch stream said is put together by watch id: first things first, with all events between two other
messages in one list, since how they are cut into messages is left to chance (but never within a revision:
`TornRevision`).
"""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple

import grpc

from tests.acceptance.etcd.api import EtcdApi, Silent, Stream
from tests.acceptance.etcd.interview import refused, text_of
from tests.acceptance.etcd.schema import pb
from tests.differential.etcd.script import AnyStep, Call, Cancel, EtcdScript, Progress, Watch, fill, request

ALL = {"key": b"\0", "range_end": b"\0"}
REVISIONS = {"revision", "create_revision", "mod_revision", "compact_revision"}
CHOSEN_FROM = 1 << 32
DELETE = 1
CATCHES_UP_WITHIN_S = 0.15
"""A real server looks every 100 ms after the watches that are behind."""
DELIVERS_WITHIN_S = 0.02


class TornRevision(Exception):
    """The events of one revision came in two messages."""


class Said(NamedTuple):
    """`reply`: a message in its normal form, or the text of a refusal."""

    step: int
    about: str
    reply: Any

    def __str__(self) -> str:
        reply = self.reply if isinstance(self.reply, str) else text_of(self.reply)
        return f"step {self.step}, {self.about}: {reply}"


def normal(message: Any, beginning: int) -> Any:
    _rename(message, beginning)
    kind = message.DESCRIPTOR.name
    if kind == "LeaseGrantResponse" and message.ID >= CHOSEN_FROM:
        message.ID = 1
    elif kind == "LeaseTimeToLiveResponse":
        keys = sorted(message.keys)
        del message.keys[:]
        message.keys.extend(keys)
        if message.grantedTTL - 15 <= message.TTL <= message.grantedTTL:
            message.TTL = message.grantedTTL
    elif kind == "LeaseLeasesResponse":
        leases = sorted(min(lease.ID, CHOSEN_FROM) for lease in message.leases)
        del message.leases[:]
        message.leases.extend(pb.LeaseStatus(ID=number) for number in leases)
    return message


def _rename(message: Any, beginning: int) -> None:
    """A revision becomes 1 where the script begins, so that it is told from none."""
    for field, value in message.ListFields():
        if field.name in REVISIONS:
            setattr(message, field.name, value - beginning + 1)
        elif field.name in ("cluster_id", "member_id", "raft_term"):
            setattr(message, field.name, 1)
        elif field.message_type is None:
            continue
        elif field.is_repeated:
            for each in value:
                _rename(each, beginning)
        else:
            _rename(value, beginning)


class WatchStream:
    """One stream of one play: what was heard, kept as it came."""

    def __init__(self, api: EtcdApi) -> None:
        self._stream: Stream = api.stream("Watch")
        self.heard: list[Any] = []
        self.failed: str | None = None

    def send(self, request: Any) -> None:
        self._stream.send(request)

    def listen(self) -> None:
        """Take what has come."""
        try:
            self.heard.extend(self._stream.waiting())
        except grpc.RpcError as problem:
            self.failed = refused(problem)

    def await_one(self, wanted: Any, within_s: float) -> None:
        """Listen until a message comes of which `wanted` holds, or the time is over."""
        end = time.monotonic() + within_s
        try:
            while (left := end - time.monotonic()) > 0:
                self.heard.append(self._stream.next(left))
                if wanted(self.heard[-1]):
                    return
        except Silent:
            pass
        except grpc.RpcError as problem:
            self.failed = refused(problem)

    def close(self) -> None:
        self._stream.close()


class Play:
    """One script on one server.  `form` may be asked again later: watches say more as time goes by."""

    def __init__(
        self, api: EtcdApi, script: EtcdScript, compacted: set[int], *, patience_s: float = 5.0
    ) -> None:
        """`compacted`: the revisions at which this server was compacted; those of the script come to it."""
        self.script = script
        self._compacted = compacted
        self._api = api
        self._patience_s = patience_s
        self._said: list[Said] = []
        self._streams: dict[int, WatchStream] = {}
        self._number = 0
        self._behind_until = 0.0
        self.beginning = api.call("Range", key=b"x").header.revision
        self.ended = self.beginning

    def run(self) -> None:
        for number, step in enumerate(self.script.steps):
            self._number = number
            self._take(step)
        self.ended = self._api.call("Range", key=b"x").header.revision

    def clean_up(self) -> None:
        """No keys and no leases, for who comes next."""
        self._api.call("DeleteRange", **ALL)
        for lease in self._api.call("LeaseLeases").leases:
            self._api.call("LeaseRevoke", ID=lease.ID)

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()

    # --- steps ---

    def _take(self, step: AnyStep) -> None:
        if isinstance(step, Call):
            if step.method == "Compact":
                self.let_catch_up()
            self._say(step.method, lambda: self._call(step))
        elif isinstance(step, Watch):
            self._watch(step)
        elif isinstance(step, Cancel):
            self._cancel(step)
        else:
            self._progress(step)

    def _say(self, about: str, action: Any) -> None:
        try:
            reply = normal(action(), self.beginning)
        except grpc.RpcError as refusal:
            reply = refused(refusal)
        except Silent:
            reply = "silence"
        self._said.append(Said(self._number, about, reply))

    def _call(self, step: Call) -> Any:
        message = request(step.method, step.fields, self.beginning)
        if step.method != "LeaseKeepAlive":
            reply = self._api.call(step.method, message)
            if step.method == "Compact":
                self._compacted.add(message.revision)
            return reply
        with self._api.stream(step.method) as stream:
            stream.send(message)
            return stream.next(self._patience_s)

    def _stream(self, number: int) -> WatchStream:
        if number not in self._streams:
            self._streams[number] = WatchStream(self._api)
        return self._streams[number]

    def _watch(self, step: Watch) -> None:
        stream = self._stream(step.stream)
        stream.send(
            pb.WatchRequest(create_request=fill(pb.WatchCreateRequest(), step.fields, self.beginning))
        )
        stream.await_one(lambda reply: reply.created, self._patience_s)
        if "start_revision" in step.fields:
            self._behind_until = time.monotonic() + CATCHES_UP_WITHIN_S

    def _cancel(self, step: Cancel) -> None:
        """Only of what is there: for another id there is no answer."""
        stream = self._stream(step.stream)
        self.let_catch_up()
        time.sleep(DELIVERS_WITHIN_S)
        stream.listen()
        there = [
            reply
            for reply in stream.heard
            if reply.watch_id == step.watch_id and (reply.created or reply.canceled)
        ]
        stream.send(pb.WatchRequest(cancel_request=pb.WatchCancelRequest(watch_id=step.watch_id)))
        if there and not there[-1].canceled:
            stream.await_one(
                lambda reply: reply.canceled and reply.watch_id == step.watch_id, self._patience_s
            )

    def _progress(self, step: Progress) -> None:
        stream = self._stream(step.stream)
        stream.send(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))
        stream.await_one(lambda reply: reply.watch_id == -1 and not reply.created, self._patience_s)

    def let_catch_up(self) -> None:
        """A real server's watches from the past, before something would cut them short."""
        if (left := self._behind_until - time.monotonic()) > 0:
            time.sleep(left)

    # --- the form ---

    def form(self) -> list[Said]:
        said = list(self._said)
        for number, stream in sorted(self._streams.items()):
            stream.listen()
            said += self._heard(number, stream)
        return said

    def _heard(self, number: int, stream: WatchStream) -> list[Said]:
        by_id: dict[int, list[Any]] = {}
        for original in stream.heard:
            if original.compact_revision > self.ended:
                continue
            reply = pb.WatchResponse()
            reply.CopyFrom(original)
            self._without_later(reply)
            if original.events and not reply.events:
                continue
            self._gather(by_id.setdefault(reply.watch_id, []), reply)
        said = [
            Said(len(self.script.steps), f"stream {number}, watch {watch_id}", reply)
            for watch_id, replies in sorted(by_id.items())
            for reply in replies
        ]
        if stream.failed:
            said.append(Said(len(self.script.steps), f"stream {number}", stream.failed))
        return said

    def _without_later(self, reply: Any) -> None:
        """Events of what happened after the script are of no interest; and a key that was deleted just at the
        revision of a compaction is there in the history since 3.5.16, and not before."""
        kept = [
            event
            for event in reply.events
            if event.kv.mod_revision <= self.ended
            and not (event.type == DELETE and event.kv.mod_revision in self._compacted)
        ]
        if len(kept) < len(reply.events):
            del reply.events[:]
            reply.events.extend(kept)

    def _gather(self, replies: list[Any], reply: Any) -> None:
        if reply.events:
            if reply.header.revision < reply.events[-1].kv.mod_revision:
                raise TornRevision(f"a header behind its own events: {text_of(reply)}")
            reply.ClearField("header")
        normal(reply, self.beginning)
        if not (reply.events and replies and replies[-1].events):
            replies.append(reply)
            return
        last, first = replies[-1].events[-1].kv.mod_revision, reply.events[0].kv.mod_revision
        if first <= last and not reply.fragment:
            raise TornRevision(f"events of revision {first} after those of {last}")
        replies[-1].events.extend(reply.events)


def play_on_both(left: Play, right: Play) -> None:
    """At the same time."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            right.run()
        except BaseException as problem:
            problems.append(problem)

    other = threading.Thread(target=run)
    other.start()
    try:
        left.run()
    finally:
        other.join()
    if problems:
        raise problems[0]
