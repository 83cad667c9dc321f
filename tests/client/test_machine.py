"""Stories of one session: what is sent, what is repeated, what may have been done, and what is told."""
from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from agreed.client import certainty, machine
from agreed.client.errors import (
    AuthenticationFailed,
    ConnectionLost,
    SessionClosed,
    SessionExpired,
    TimedOut,
)
from agreed.client.requests import IN_FLIGHT_MAX, Group, Requests
from agreed.client.values import Change, SessionState, WatchKind
from agreed.wire.zookeeper.connection import Answer
from agreed.wire.zookeeper.messages import (
    XID_AUTH,
    AddWatchMode,
    AddWatchRequest,
    AuthRequest,
    CloseSessionRequest,
    ConnectResponse,
    ErrorCode,
    EventType,
    ExistsRequest,
    GetChildren2Request,
    GetDataRequest,
    Op,
    RemoveWatchesRequest,
    SetDataRequest,
    SetWatchesRequest,
    Stat,
    SyncRequest,
    WatcherType,
)
from agreed.wire.zookeeper.replies import (
    AddWatchReply,
    ErrorReply,
    ExistsReply,
    GetChildren2Reply,
    GetDataReply,
    HeaderReply,
    SetDataReply,
    SyncReply,
)
from tests.client.scripted import REFUSED, SERVERS, World

STAT = Stat(*range(11))
READ = GetDataRequest(b"/a", False)
WRITE = SetDataRequest(b"/a", b"new", -1)
WRITTEN = SetDataReply(STAT)
FOUND = GetDataReply(b"x", STAT)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def connected(world: World) -> World:
    world.connect()
    return world


# --- connections ------------------------------------------------------------------------------------------


def test_a_session_begins(world: World) -> None:
    assert world.machine.state is SessionState.CONNECTING
    world.connect()
    [hello] = world.greetings
    assert (hello.session_id, hello.timeout_ms, hello.last_zxid_seen) == (0, 10_000, 0)
    assert world.states == [SessionState.CONNECTED]
    assert (world.machine.session_id, world.machine.timeout_s) == (7, 10.0)


def test_every_server_is_tried_and_then_there_is_a_pause(world: World) -> None:
    for _ in SERVERS:
        world.lose("refused")
    assert [each.server for each in world.dials] == SERVERS
    world.pass_time(0.5)
    assert len(world.dials) == 4
    assert world.states == []


def test_pauses_grow_up_to_a_second(world: World) -> None:
    tries = []
    for _ in range(30):
        before = world.now
        while len(world.dials) == len(tries):
            world.pass_time(0.01)
        tries.append(world.now - before)
        world.lose("refused")
    assert max(tries) <= 1.02
    assert max(tries[:6]) < max(tries[-6:])


def test_a_server_that_takes_the_connection_and_says_nothing_is_left(world: World) -> None:
    world.machine.dialed(world.now, world.connection)
    world.pass_time(5.1)
    assert len(world.dials) > 1


def test_what_comes_of_a_connection_that_was_given_up_is_not_listened_to(connected: World) -> None:
    old = connected.connection
    connected.ask(WRITE)
    connected.lose()
    connected.machine.heard(connected.now, old, [Answer(1, 99, WRITTEN)])
    connected.machine.lost(connected.now, old, "again")
    connected.settle()
    assert connected.machine.last_zxid == 0
    assert connected.states == [SessionState.CONNECTED, SessionState.SUSPENDED]


def test_the_session_goes_on_elsewhere_with_the_newest_zxid(connected: World) -> None:
    connected.ask(READ)
    connected.answer(FOUND, zxid=42)
    connected.pass_time_answering(5.0)
    connected.lose()
    connected.connect()
    assert connected.dials[0].server != connected.dials[1].server
    hello = connected.greetings[-1]
    assert (hello.session_id, hello.password, hello.last_zxid_seen) == (7, b"p" * 16, 42)
    assert connected.states == [SessionState.CONNECTED, SessionState.SUSPENDED, SessionState.CONNECTED]


def test_a_connection_that_lasted_for_a_moment_is_not_followed_by_another_at_once(connected: World) -> None:
    connected.lose()
    assert len(connected.dials) == 1
    connected.pass_time(0.2)
    assert len(connected.dials) == 2


# --- what may have been done ------------------------------------------------------------------------------


def test_what_was_never_sent_waits_for_a_connection(world: World) -> None:
    ticket = world.ask(WRITE)
    world.lose()
    world.connect()
    assert world.sent == [WRITE]
    world.answer(WRITTEN)
    assert world.answered == {ticket: [WRITTEN]}


def test_what_was_never_sent_was_surely_not_done(world: World) -> None:
    ticket = world.ask(WRITE, within_s=3.0)
    world.pass_time(3.5)
    error = world.failed[ticket]
    assert isinstance(error, TimedOut)
    assert error.surely_not_done
    world.connect()
    assert world.sent == []


def test_a_write_without_an_answer_may_have_been_done_and_is_not_repeated(connected: World) -> None:
    ticket = connected.ask(WRITE)
    connected.lose("cable cut")
    error = connected.failed[ticket]
    assert isinstance(error, ConnectionLost)
    assert error.maybe
    assert "cable cut" in str(error)
    connected.pass_time(1)
    connected.connect()
    assert connected.sent == [WRITE]


def test_a_write_whose_time_is_over_may_still_be_done_and_its_late_answer_goes_to_nobody(
    connected: World,
) -> None:
    late = connected.ask(WRITE, within_s=0.5)
    connected.pass_time(0.6)
    assert connected.failed[late].maybe
    read = connected.ask(READ)
    connected.answer(WRITTEN)
    connected.answer(FOUND)
    assert connected.answered == {read: [FOUND]}


def test_reads_are_repeated_before_what_has_waited(connected: World) -> None:
    first = connected.ask(SyncRequest(b"/"), READ, repeatable=True)
    lost = connected.ask(WRITE)
    second = connected.ask(ExistsRequest(b"/b", False), repeatable=True)
    connected.answer(SyncReply(b"/"))  # half of the first
    connected.lose()
    waiting = connected.ask(SetDataRequest(b"/later", b"", -1))
    connected.pass_time(1)
    connected.sent.clear()
    connected.connect()
    assert connected.sent == [
        SyncRequest(b"/"), READ, ExistsRequest(b"/b", False), SetDataRequest(b"/later", b"", -1),
    ]  # fmt: skip
    for reply in (SyncReply(b"/"), FOUND, ExistsReply(STAT), WRITTEN):
        connected.answer(reply)
    assert connected.answered == {
        first: [SyncReply(b"/"), FOUND], second: [ExistsReply(STAT)], waiting: [WRITTEN],
    }  # fmt: skip
    assert set(connected.failed) == {lost}


def test_a_read_whose_time_is_over_is_not_repeated(connected: World) -> None:
    ticket = connected.ask(READ, within_s=2.0, repeatable=True)
    connected.lose()
    for _ in range(3):
        connected.pass_time(1.0)
        connected.lose("refused")
    assert isinstance(connected.failed[ticket], TimedOut)
    connected.pass_time(1.0)
    connected.sent.clear()
    connected.connect()
    assert connected.sent == []


def test_only_so_many_are_on_their_way_at_once(connected: World) -> None:
    for _ in range(IN_FLIGHT_MAX + 10):
        connected.ask(WRITE)
    assert len(connected.sent) == IN_FLIGHT_MAX
    connected.answer(WRITTEN)
    assert len(connected.sent) == IN_FLIGHT_MAX + 1
    connected.lose()
    assert len(connected.failed) == IN_FLIGHT_MAX
    assert len(connected.machine.requests) == 9


def test_who_goes_away_leaves_nothing_behind(world: World) -> None:
    for _ in range(1000):
        world.ask(WRITE, within_s=0.1)
        world.pass_time(0.2)
    assert len(world.machine.requests) == 0
    assert len(world.failed) == 1000
    world.connect()
    assert world.sent == []


# --- the end of the session -------------------------------------------------------------------------------


def test_the_cluster_says_that_the_session_is_over(connected: World) -> None:
    done = connected.ask(READ, watcher="w", repeatable=True)
    watched = connected.ask(GetDataRequest(b"/w", True), watcher="w", repeatable=True)
    connected.answer(FOUND)
    connected.answer(FOUND)
    sent = connected.ask(WRITE)
    connected.lose()
    waiting = connected.ask(WRITE)
    connected.pass_time(1)
    connected.machine.dialed(connected.now, connected.connection)
    connected.hear(ConnectResponse(0, 0, 0, bytes(16), False))
    assert connected.states[-1] is SessionState.EXPIRED
    assert set(connected.answered) == {done, watched}
    assert isinstance(connected.failed[sent], ConnectionLost)
    assert isinstance(connected.failed[waiting], SessionExpired)
    assert connected.failed[waiting].surely_not_done
    assert ("w", Change.ENDED, b"/w") in connected.seen
    later = connected.ask(READ)
    assert isinstance(connected.failed[later], SessionExpired)
    assert connected.machine.wake is None


def test_a_server_that_hands_out_another_session_has_lost_ours(connected: World) -> None:
    connected.pass_time_answering(2)
    connected.lose()
    connected.connect(session=8)
    assert connected.machine.state is SessionState.EXPIRED


def test_an_answer_may_say_that_the_session_is_over(connected: World) -> None:
    first, second = connected.ask(WRITE), connected.ask(WRITE)
    connected.answer(ErrorReply(ErrorCode.SESSION_EXPIRED))
    assert connected.failed[first].surely_not_done
    assert connected.failed[second].maybe
    assert connected.machine.state is SessionState.EXPIRED


def test_a_session_is_closed_in_order(connected: World) -> None:
    before = connected.ask(WRITE)
    closing = connected.ask(CloseSessionRequest())
    connected.answer(WRITTEN)
    connected.answer(HeaderReply(Op.CLOSE_SESSION))
    assert set(connected.answered) == {before, closing}
    assert connected.machine.state is SessionState.CLOSED
    connected.lose()
    assert len(connected.dials) == 1
    after = connected.ask(WRITE)
    assert isinstance(connected.failed[after], SessionClosed)


# --- time -------------------------------------------------------------------------------------------------


def test_an_idle_session_pings_and_lives(connected: World) -> None:
    connected.pass_time_answering(100)
    assert connected.states == [SessionState.CONNECTED]
    assert connected.sent == []


def test_a_silent_server_is_left_while_there_is_time_for_another(connected: World) -> None:
    connected.pass_time(6.6)
    assert connected.states == [SessionState.CONNECTED]
    connected.pass_time(0.1)
    assert connected.states == [SessionState.CONNECTED, SessionState.SUSPENDED]


def test_what_remains_is_certain_after_the_handshake(connected: World) -> None:
    """10 s less 5 %, for clocks that differ in rate: the handshake went through the log."""
    remains = connected.machine.remaining_s
    assert remains(connected.now) == pytest.approx(9.5)
    assert remains(connected.now + 9) == pytest.approx(0.5)
    assert remains(connected.now + 10) == 0
    connected.lose()
    assert remains(connected.now + 9) == pytest.approx(0.5)


def test_what_remains_counts_from_what_the_leader_surely_knows(connected: World) -> None:
    """An answer proves that the leader has heard of what was sent 3.5 s before, and of nothing newer."""
    began = connected.now

    def remains_until() -> float:
        return connected.now + connected.machine.remaining_s(connected.now)

    connected.now += 1
    connected.ask(WRITE)
    connected.now += 2
    connected.answer(WRITTEN)
    assert remains_until() == pytest.approx(began + 9.5)
    connected.ask(WRITE)
    connected.now += 5
    assert remains_until() == pytest.approx(began + 9.5)  # sent, but who knows whether it was heard
    connected.answer(WRITTEN)
    assert remains_until() == pytest.approx(began + 9.5)  # sent 2 s after the first: that proves nothing
    connected.ask(WRITE)
    connected.answer(WRITTEN)
    assert remains_until() == pytest.approx(began + 3 + 9.5)


def test_an_idle_session_knows_that_it_lives(connected: World) -> None:
    least = 10.0
    for _ in range(100):
        connected.pass_time_answering(0.37)
        least = min(least, connected.machine.remaining_s(connected.now))
    assert least > 3.5


class Follower(NamedTuple):
    """How often it tells the leader whom it has heard, and how long it answers reads and pings when it is cut
    off."""

    reports_each_s: float
    serves_on_s: float


OURS = Follower(0.5, 3.0)
ZOOKEEPERS = Follower(1.5, 15.0)


def what_remains_is_too_much(follower: Follower, timeout_s: float, seed: int, *, by_sync: bool) -> bool:
    """A client that speaks now and then with a follower which is cut off.  The leader counts."""
    dice = random.Random(seed)
    world = World(timeout_s, by_sync=by_sync)
    world.connect(timeout_s=timeout_s)
    reported = world.now  # when the leader has heard of us
    heard, next_report = False, world.now + dice.random() * follower.reports_each_s
    cut_off = world.now + dice.random() * 30
    while world.now < cut_off + follower.serves_on_s:
        world.now += 0.01
        world.machine.time_passed(world.now)
        world.settle()
        if dice.random() < 0.002:
            world.ask(READ, repeatable=True)
        while world.pings:
            world.pong()
            heard = True
        while world.unanswered:
            heard = True
            if world.now >= cut_off and isinstance(world.unanswered[0], SyncRequest):
                break
            world.answer(FOUND)
        if world.now >= next_report:
            next_report += follower.reports_each_s
            if heard and world.now < cut_off:
                reported, heard = world.now, False
        remaining = world.machine.remaining_s(world.now)
        if remaining and world.now + remaining > reported + timeout_s:
            return True
    return False


FOLLOWERS = pytest.mark.parametrize(
    ("follower", "timeout_s", "by_sync"),
    [
        *((OURS, timeout_s, by_sync) for timeout_s in (4.0, 10.0, 40.0) for by_sync in (False, True)),
        *((ZOOKEEPERS, timeout_s, True) for timeout_s in (4.0, 10.0, 40.0)),
    ],
)


@FOLLOWERS
def test_what_remains_is_a_lower_bound(follower: Follower, timeout_s: float, by_sync: bool) -> None:
    assert not any(what_remains_is_too_much(follower, timeout_s, seed, by_sync=by_sync) for seed in range(20))


@FOLLOWERS
def test_what_remains_from_the_last_answer_is_none(
    monkeypatch: pytest.MonkeyPatch, follower: Follower, timeout_s: float, by_sync: bool
) -> None:
    monkeypatch.setattr(certainty, "UNREPORTED_S", 0.0)
    monkeypatch.setattr(certainty, "REPORTED_S", 0.0)
    monkeypatch.setattr(certainty, "CLOCK_RATE_BOUND", 0.0)
    assert any(what_remains_is_too_much(follower, timeout_s, seed, by_sync=by_sync) for seed in range(40))


def test_a_zookeeper_is_not_to_be_believed_in_all_that_it_answers() -> None:
    assert any(what_remains_is_too_much(ZOOKEEPERS, 10.0, seed, by_sync=False) for seed in range(20))


@pytest.mark.parametrize(("timeout_s", "by_sync"), [(4.0, False), (4.0, True), (10.0, True)])
def test_who_sends_syncs_knows_that_he_lives(timeout_s: float, by_sync: bool) -> None:
    """A short session, and one with a ZooKeeper: with each ping, and reading does not keep them from it."""
    world = World(timeout_s, by_sync=by_sync)
    world.connect(timeout_s=timeout_s)
    least = timeout_s
    for _ in range(300):
        world.now += 0.1
        world.machine.time_passed(world.now)
        world.ask(READ, repeatable=True)
        while world.pings:
            world.pong()
        while world.unanswered:
            world.answer(FOUND)
        least = min(least, world.machine.remaining_s(world.now))
    assert least > timeout_s / 4
    assert 30 < sum(isinstance(each, SyncRequest) for each in world.sent) < 120


def test_nothing_remains_of_a_session_that_is_over_or_never_was(world: World) -> None:
    assert world.machine.remaining_s(world.now) == 0
    world.connect()
    world.machine.close()
    assert world.machine.remaining_s(world.now) == 0


# --- watches ----------------------------------------------------------------------------------------------


def test_watches_are_set_again_before_anything_else(connected: World) -> None:
    asked: list[tuple[Any, Any]] = [
        (GetDataRequest(b"/data", True), FOUND),
        (ExistsRequest(b"/there", True), ExistsReply(STAT)),
        (ExistsRequest(b"/missing", True), REFUSED),
        (GetChildren2Request(b"/child", True), GetChildren2Reply((), STAT)),
        (GetDataRequest(b"/refused", True), REFUSED),
        (GetDataRequest(b"/used", True), FOUND),
    ]
    for request, reply in asked:
        connected.ask(request, watcher="w", repeatable=True)
        connected.answer(reply, zxid=41)
    connected.event(EventType.NODE_DATA_CHANGED, b"/used", zxid=42)
    assert connected.seen == [("w", Change.DATA, b"/used")]
    connected.pass_time_answering(2)
    connected.lose()
    connected.ask(WRITE)
    connected.sent.clear()
    connected.connect()
    again = SetWatchesRequest(42, (b"/data", b"/there"), (b"/missing",), (b"/child",))
    assert connected.sent == [again, WRITE]
    connected.event(EventType.NODE_CREATED, b"/missing", zxid=50)
    connected.answer(HeaderReply(Op.SET_WATCHES))
    assert connected.seen[1:] == [("w", Change.CREATED, b"/missing")]


def test_a_watch_that_stays_is_told_that_it_may_have_missed_something(connected: World) -> None:
    connected.ask(AddWatchRequest(b"/a", AddWatchMode.PERSISTENT_RECURSIVE), watcher="w", repeatable=True)
    connected.answer(AddWatchReply())
    connected.event(EventType.NODE_CREATED, b"/a/b/c")
    connected.event(EventType.NODE_CREATED, b"/ab")
    connected.pass_time_answering(2)
    connected.lose()
    connected.connect()
    [again] = [each for each in connected.sent if isinstance(each, SetWatchesRequest)]
    assert (again.op, again.persistent_recursive) == (Op.SET_WATCHES2, (b"/a",))
    assert connected.seen == [("w", Change.CREATED, b"/a/b/c"), ("w", Change.GAP, b"/a")]


def test_the_server_is_told_when_nobody_watches_any_more(connected: World) -> None:
    for watcher in ("one", "two"):
        connected.ask(AddWatchRequest(b"/a", AddWatchMode.PERSISTENT), watcher=watcher, repeatable=True)
        connected.answer(AddWatchReply())
    stop = connected.machine.stop_watching
    stop(connected.now, "one", b"/a", WatchKind.PERSISTENT)
    connected.settle()
    assert not any(isinstance(each, RemoveWatchesRequest) for each in connected.sent)
    connected.event(EventType.NODE_DATA_CHANGED, b"/a")
    assert connected.seen == [("two", Change.DATA, b"/a")]
    connected.ask(AddWatchRequest(b"/a", AddWatchMode.PERSISTENT), watcher="three", repeatable=True)
    stop(connected.now, "two", b"/a", WatchKind.PERSISTENT)
    connected.settle()
    assert not any(isinstance(each, RemoveWatchesRequest) for each in connected.sent), "three is coming"
    connected.answer(AddWatchReply())
    stop(connected.now, "three", b"/a", WatchKind.PERSISTENT)
    connected.settle()
    assert isinstance(connected.sent[-1], RemoveWatchesRequest)


def test_an_older_server_is_told_so_in_its_own_words(connected: World) -> None:
    """Before 3.9 there is no kind for watches that stay: all of this session's at the path go, or none."""

    def stop(path: bytes) -> None:
        connected.ask(AddWatchRequest(path, AddWatchMode.PERSISTENT_RECURSIVE), watcher="w", repeatable=True)
        connected.answer(AddWatchReply())
        connected.machine.stop_watching(connected.now, "w", path, WatchKind.RECURSIVE)
        connected.settle()

    def removed() -> list[RemoveWatchesRequest]:
        return [each for each in connected.sent if isinstance(each, RemoveWatchesRequest)]

    stop(b"/a")
    assert [each.kind for each in removed()] == [WatcherType.PERSISTENT_RECURSIVE]
    connected.answer(ErrorReply(ErrorCode.MARSHALLING_ERROR))
    assert removed()[1:] == [RemoveWatchesRequest(b"/a", WatcherType.ANY)]
    connected.answer(ErrorReply(ErrorCode.MARSHALLING_ERROR))
    assert len(removed()) == 2

    connected.ask(ExistsRequest(b"/b", True), watcher="once", repeatable=True)
    connected.answer(ErrorReply(ErrorCode.NO_NODE))
    stop(b"/b")
    connected.answer(ErrorReply(ErrorCode.MARSHALLING_ERROR))
    assert len(removed()) == 3, "once is watching there still"

    stop(b"/c")
    connected.ask(ExistsRequest(b"/c", True), watcher="once", repeatable=True)
    connected.answer(ErrorReply(ErrorCode.MARSHALLING_ERROR))
    assert len(removed()) == 4, "once is about to"


# --- who we are -------------------------------------------------------------------------------------------


def test_credentials_are_said_on_every_connection() -> None:
    one, two = AuthRequest(0, "digest", b"a:b"), AuthRequest(0, "digest", b"c:d")
    world = World(credentials=(one,))
    waiting = world.ask(WRITE)
    world.connect()
    world.hear(Answer(XID_AUTH, 0, HeaderReply(Op.AUTH)))
    world.machine.prove(world.now, two)
    world.settle()
    assert world.sent == [one, WRITE, two]
    world.answer(WRITTEN)
    assert waiting in world.answered
    world.pass_time_answering(2)
    world.lose()
    world.connect()
    assert world.sent[3:] == [one, two]


def test_credentials_that_the_server_does_not_take_end_the_session() -> None:
    world = World(credentials=(AuthRequest(0, "magic", b""),))
    waiting = world.ask(WRITE)
    world.connect()
    world.hear(Answer(XID_AUTH, 0, ErrorReply(ErrorCode.AUTH_FAILED)))
    assert isinstance(world.failed[waiting], AuthenticationFailed)
    assert isinstance(world.machine.ending(), AuthenticationFailed)


# --- whatever happens -------------------------------------------------------------------------------------


def broken_promises(seed: int) -> list[str]:
    """A random story.  `World` itself asserts that nobody is told twice, and that nothing is said on a
    connection that is gone."""
    dice = random.Random(seed)
    world = World()
    tickets = []
    for number in range(300):
        match dice.randrange(8):
            case 0 | 1:
                write = SetDataRequest(b"/w", str(number).encode(), -1)
                tickets.append(world.ask(write, within_s=dice.choice((0.1, 1.0, 30.0))))
            case 2:
                read = ExistsRequest(f"/r{number}".encode(), True)
                within_s = dice.choice((0.5, 20.0))
                tickets.append(world.ask(read, repeatable=True, within_s=within_s, watcher="w"))
            case 3 | 4 if world.machine.state is SessionState.CONNECTED and world.unanswered:
                request = world.unanswered[0]
                done = {SetDataRequest: WRITTEN, SetWatchesRequest: HeaderReply(Op.SET_WATCHES)}
                world.answer(done.get(type(request), REFUSED), zxid=number)
            case 5 if dice.random() < 0.3:
                world.lose()
            case 6:
                world.pass_time(dice.random() * dice.choice((0.1, 1.0, 8.0)))
            case _:
                if world.machine.state is not SessionState.CONNECTED and world.machine.wake is not None:
                    world.accept()
    world.pass_time(100)
    broken = []
    if set(world.answered) | set(world.failed) != set(tickets):
        broken.append("somebody was never told")
    writes = [each.data for each in world.sent if isinstance(each, SetDataRequest)]
    if len(writes) != len(set(writes)):
        broken.append("a write was sent twice")
    if len(world.machine.requests):
        broken.append("something was kept for nobody")
    seen = [each.last_zxid_seen for each in world.greetings]
    if seen != sorted(seen) or (len(seen) > 5 and not seen[-1]):
        broken.append("an older zxid was presented")
    return broken


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_everybody_is_told_once_and_no_write_is_sent_twice(seed: int) -> None:
    assert broken_promises(seed) == []


def _repeats_writes(patch: pytest.MonkeyPatch) -> None:
    lost = Requests.connection_lost

    def all_again(self: Requests) -> list[Group]:
        for each in self._sent:
            if each.group is not None:
                each.group.repeatable = True
        return lost(self)

    patch.setattr(Requests, "connection_lost", all_again)


def _forgets_deadlines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Requests, "overdue", lambda self, now: [])


def _forgets_what_it_has_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(machine.SessionMachine, "_see", lambda self, zxid: None)


def _listens_to_the_dead(patch: pytest.MonkeyPatch) -> None:
    """What was given up is answered all the same."""
    patch.setattr(Requests, "close", lambda self, group: None)


@pytest.mark.parametrize(
    "mistake", [_repeats_writes, _forgets_deadlines, _forgets_what_it_has_seen, _listens_to_the_dead]
)
def test_a_machine_with_a_mistake_breaks_a_promise(
    mistake: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    for seed in range(40):
        try:
            if broken_promises(seed):
                return
        except AssertionError:
            return  # `World` has found it
    raise AssertionError("nobody noticed")
