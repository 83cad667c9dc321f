"""Standing in line as etcd's own concurrency package does, so that its locks and elections exclude ours.

    NAME/{lease:x}                  `etcdctl lock`, `etcdctl elect` and Go's `concurrency`
    NAME/{lease:x}-{mark}           ours: a session may stand in a line twice, and no key is used again
    NAME/{lease:x}-read-{mark}      our readers; others take them for writers

Every key below `NAME/` stands in the line, whoever made it, in the order of their `create_revision`.

One transaction puts the key if it is not there and reads the whole line.  It is asked again where no answer
came, and finds its key if it was made the first time.  That is not enough for `leave` to be certain:

    1. `enter` is asked, and its connection breaks; whoever waited is cancelled
    2. `leave` deletes the key, which is not there: done
    3. the request of 1, which a server had kept all the time, makes the key

and now somebody stands in line who does not know it, for as long as the session lives.  So each `enter`
names what it knows of a *fence*, a key of the session beside the line, and does nothing if the fence is
another; and where an `enter` was not answered, `leave` puts the fence anew in the transaction that deletes
the key.  What may still be under way comes too late then.  The fence is not there at all until it is needed
once; it goes with the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from functools import partial
from typing import Final

from agreed.backends.contract import Entry, Kind, Place, Session, Standing
from agreed.backends.etcd.calls import Calls, revision_of
from agreed.backends.etcd.keys import Keys, raise_if_no_key
from agreed.client.driver import seconds
from agreed.client.errors import (
    ClientError,
    ConnectionLost,
    QuotaExceeded,
    SessionClosed,
    SessionExpired,
    Throttled,
    TimedOut,
    Unanswered,
)
from agreed.wire.etcd.messages import (
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    KeyValue,
    PutRequest,
    RangeRequest,
    RequestOp,
    ResponseOp,
    TxnRequest,
)

PAUSE_S: Final = (0.02, 0.5)

_MADE_BY_US: Final = re.compile(r"[0-9a-f]+-(?P<reader>read-)?(?P<mark>[0-9a-f]{32})")


class _Standing:
    """`unsure`: some `enter` was asked and not answered.  `found`: it has been seen in the line."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.unsure = False
        self.found = False
        self.leaving = False


class _Line:
    """What a session knows of itself in one line.  `fence`: the revision of its last change, or 0."""

    def __init__(self) -> None:
        self.standings: dict[str, _Standing] = {}
        self.fence = 0
        self.turn = asyncio.Lock()
        """Servers do what is asked at the same time in any order; who asks first is to stand first."""

    @property
    def forgettable(self) -> bool:
        return not self.standings and not self.fence


class Lines:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys
        self._lines: dict[int, dict[str, _Line]] = {}
        """By session and directory."""

    # --- the three of the contract ----------------------------------------------------------------------

    async def enter(self, directory: str, session: Session, mark: str, value: bytes, kind: Kind) -> Standing:
        raise_if_no_key(directory)
        self._calls.raise_if_unusable()
        line = self._line_of(session, directory)
        mine = line.standings.get(mark) or self._new_standing(line, directory, session, mark, kind)
        ends_at = seconds() + self._calls.request_timeout_s
        try:
            await self._turn_of(line, directory)
            try:
                return await self._enter_in_turn(directory, session, line, mine, value, ends_at)
            finally:
                line.turn.release()
        except BaseException:
            if not mine.unsure and not mine.found:
                self._forget(session, directory, mark)
            raise

    async def _turn_of(self, line: _Line, directory: str) -> None:
        try:
            async with asyncio.timeout(self._calls.request_timeout_s) as time:
                await line.turn.acquire()
        except TimeoutError:
            if not time.expired():
                raise
            others = "others of this session are still about to enter"
            raise TimedOut(f"{directory}: {others}", maybe=False) from None

    async def _enter_in_turn(
        self, directory: str, session: Session, line: _Line, mine: _Standing, value: bytes, ends_at: float
    ) -> Standing:
        pause_s = PAUSE_S[0]
        while True:
            if mine.leaving:
                raise ConnectionLost("whoever stood there has left meanwhile", maybe=False)
            _raise_if_ended(session)
            was_unsure = mine.unsure
            # From here until the answer nobody knows; who is cancelled meanwhile never will.
            mine.unsure = True
            try:
                standing = await self._try_to_enter(directory, session, line, mine, value, ends_at)
            except ClientError as error:
                mine.unsure = was_unsure or error.maybe
                if not isinstance(error, Unanswered) or isinstance(error, SessionExpired | SessionClosed):
                    raise
                if seconds() + pause_s >= ends_at:
                    kind_of_end = TimedOut if isinstance(error, TimeoutError) else ConnectionLost
                    raise kind_of_end(f"{directory}: no answer to who stands in line", maybe=False) from error
            else:
                mine.unsure = was_unsure
                if standing is not None:
                    return standing
                continue
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S[1])

    async def leave(self, directory: str, session: Session, mark: str) -> None:
        line = self._lines.get(session.id, {}).get(directory)
        mine = line.standings.get(mark) if line is not None else None
        if line is None or mine is None:
            return
        mine.leaving = True
        ends_at = seconds() + self._calls.request_timeout_s
        pause_s = PAUSE_S[0]
        while not session.ended:
            try:
                await self._try_to_leave(directory, session, line, mine, ends_at)
            except SessionExpired:
                return
            except (Unanswered, Throttled):
                if seconds() + pause_s >= ends_at:
                    # Nobody waits for it any more, and it is done as soon as it can be.
                    self._calls.in_background(self._leave_at_last(directory, session, mark))
                    raise
            else:
                self._forget(session, directory, mark)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S[1])

    async def _leave_at_last(self, directory: str, session: Session, mark: str) -> None:
        await asyncio.sleep(PAUSE_S[1])
        with contextlib.suppress(ClientError):
            await self.leave(directory, session, mark)

    async def line(self, directory: str) -> tuple[Place, ...]:
        raise_if_no_key(directory)
        reply = await self._calls.range(self._whole_line(directory), directory)
        return self._places(directory, reply.kvs)

    async def line_before(self, directory: str, mine: Entry) -> tuple[Place, ...]:
        """From the server that we are on: where it knows of `mine`, it knows of all who came before."""
        start, end = self._keys.below(directory)
        request = RangeRequest(
            key=start,
            range_end=end,
            keys_only=True,
            serializable=True,
            max_create_revision=mine.created,
        )
        reply = await self._calls.range(request, directory)
        return self._places(directory, reply.kvs)

    # --- what they ask ----------------------------------------------------------------------------------

    async def _try_to_enter(
        self,
        directory: str,
        session: Session,
        line: _Line,
        mine: _Standing,
        value: bytes,
        ends_at: float,
    ) -> Standing | None:
        """None: the fence is another than we knew, and we know it now."""
        fence = self._fence(directory, session)
        whole = RequestOp(request_range=self._whole_line(directory))
        request = TxnRequest(
            compare=(
                Compare(target=CompareTarget.CREATE, key=mine.key, create_revision=0),
                Compare(target=CompareTarget.MOD, key=fence, mod_revision=line.fence),
            ),
            success=(
                RequestOp(request_put=PutRequest(key=mine.key, value=value, lease=session.id)),
                whole,
            ),
            failure=(
                RequestOp(request_range=RangeRequest(key=mine.key)),
                RequestOp(request_range=RangeRequest(key=fence)),
                whole,
            ),
        )
        reply = await self._calls.commit(request, directory, timeout_s=max(0.001, ends_at - seconds()))
        if reply.succeeded:
            mine.found = True
            created = revision_of(reply)
            entry = Entry(self._keys.text(mine.key), value, created, created, created, session.id)
            return Standing(entry, self._places(directory, _found(reply.responses[1])))
        own, of_fence, of_line = map(_found, reply.responses)
        if own:
            mine.found = True
            return Standing(self._keys.entry(own[0]), self._places(directory, of_line))
        line.fence = of_fence[0].mod_revision if of_fence else 0
        return None

    async def _try_to_leave(
        self, directory: str, session: Session, line: _Line, mine: _Standing, ends_at: float
    ) -> None:
        delete = RequestOp(request_delete_range=DeleteRangeRequest(key=mine.key))
        if mine.unsure:
            fence = PutRequest(key=self._fence(directory, session), lease=session.id)
            request = TxnRequest(success=(RequestOp(request_put=fence), delete))
        else:
            request = TxnRequest(success=(delete,))
        try:
            reply = await self._calls.commit(request, directory, timeout_s=max(0.001, ends_at - seconds()))
        except QuotaExceeded:
            # Nothing can be put where there is no space; what is there can be deleted all the same.
            await self._calls.commit(TxnRequest(success=(delete,)), directory)
            raise
        if mine.unsure:
            line.fence = max(line.fence, revision_of(reply))

    def _whole_line(self, directory: str) -> RangeRequest:
        start, end = self._keys.below(directory)
        return RangeRequest(key=start, range_end=end, keys_only=True)

    def _fence(self, directory: str, session: Session) -> bytes:
        """Beside the line, under a name that no key of the contract has."""
        parent, _, name = directory.rpartition("/")
        return self._keys.raw(f"{parent}/./{name}/{session.id:x}" if parent else f"./{name}/{session.id:x}")

    # --- what we know -----------------------------------------------------------------------------------

    def _line_of(self, session: Session, directory: str) -> _Line:
        lines = self._lines.get(session.id)
        if lines is None:
            lines = self._lines[session.id] = {}
            session.on_end(partial(self._forget_session, session.id))
        return lines.setdefault(directory, _Line())

    def _new_standing(
        self, line: _Line, directory: str, session: Session, mark: str, kind: Kind
    ) -> _Standing:
        name = f"{session.id:x}-read-{mark}" if kind is Kind.READER else f"{session.id:x}-{mark}"
        mine = line.standings[mark] = _Standing(self._keys.prefix(directory) + name.encode())
        return mine

    def _forget_session(self, session_id: int) -> None:
        self._lines.pop(session_id, None)

    def _forget(self, session: Session, directory: str, mark: str) -> None:
        lines = self._lines.get(session.id, {})
        line = lines.get(directory)
        if line is None:
            return
        line.standings.pop(mark, None)
        if line.forgettable:
            del lines[directory]

    def _places(self, directory: str, found: tuple[KeyValue, ...]) -> tuple[Place, ...]:
        in_order = sorted(found, key=lambda each: (each.create_revision, each.key))
        return tuple([self._place(directory, each) for each in in_order])

    def _place(self, directory: str, found: KeyValue) -> Place:
        text = found.key[len(self._keys.prefix(directory)) :].decode("utf-8", "surrogateescape")
        match = _MADE_BY_US.fullmatch(text)
        mark = match["mark"] if match is not None else text
        kind = Kind.READER if match is not None and match["reader"] else Kind.WRITER
        return Place(self._keys.text(found.key), mark, kind, found.create_revision)


def _found(response: ResponseOp) -> tuple[KeyValue, ...]:
    return response.response_range.kvs if response.response_range is not None else ()


def _raise_if_ended(session: Session) -> None:
    if session.ended:
        raise SessionExpired("the session is over", maybe=False)
