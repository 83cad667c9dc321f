"""A copy of all below a name follows it, never goes back, and says when it cannot be followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from agreed.backends.contract import Backend, Delete, Entry, Put, Subtree
from agreed.backends.errors import TooMuchBelow
from agreed.client.errors import ConnectionLost, SessionClosed, TimedOut
from agreed.recipes import follower
from agreed.recipes.cached_subtree import CachedSubtree, SubtreeChange, View
from agreed.recipes.following import Stream
from agreed.recipes.sessions import Sessions
from tests.backends.conftest import Place, place, service, with_connections_to_cut
from tests.recipes.conftest import Clients
from tests.recipes.stage import Stage, StageBackend, StageChanges
from tests.recipes.world.virtual import run

__all__ = ["place", "service"]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30.0):
        while not condition():
            await asyncio.sleep(0.005)


async def following(changes: Stream[SubtreeChange], copy: dict[str, Entry]) -> None:
    """Does to a copy what it is told, and finds each time what it was told of."""
    async for change in changes:
        for entry in change.deleted:
            assert copy.pop(entry.key).modified == entry.modified
        for entry in change.put:
            assert entry.key not in copy or copy[entry.key].modified < entry.modified, "it goes back"
            copy[entry.key] = entry


def test_what_is_below_a_name_is_at_hand(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            put = one.backend.commit
            await put([], [Put("config", b"top"), Put("config/a/b", b"1"), Put("configured", b"no")])
            async with CachedSubtree(two, "config") as tree:
                assert tree.keys() == ["a/b"]
                top, below = tree.get(""), tree.get("a/b")
                assert top is not None
                assert below is not None
                assert (top.value, below.key, below.value) == (b"top", "config/a/b", b"1")
                assert tree.get("a") is None
                version = await put([], [Put("config/a/c", b"2"), Put("config/d", b"3")])
                assert version is not None
                await until(lambda: tree.revision >= version)
                assert tree.keys() == ["a/b", "a/c", "d"]
                assert [entry.key for entry in tree.list()] == ["config/d"]
                assert [entry.value for entry in tree.list("a")] == [b"1", b"2"]
                assert (tree.names(), tree.names("a"), tree.names("a/b")) == (["a", "d"], ["b", "c"], [])
                assert tree.error is None
                await until(lambda: tree.stale_for() == 0.0)
                await put([], [Delete("config/a/b")])
                await tree.refresh()
                assert tree.get("a/b") is None
                view = tree.view
            await put([], [Put("config/d", b"4")])
            assert tree.view is view, "it is followed no longer"
            async with tree:
                assert [entry.value for entry in tree.list()] == [b"4"]

    clients.play(story)


def test_whoever_does_what_he_is_told_has_the_same(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, CachedSubtree(two, "t") as tree:
            changes, copy = tree.changes(), dict[str, Entry]()
            first = await changes.next(30.0)
            assert first.resynchronized
            assert first.put == first.deleted == ()
            doing = asyncio.create_task(following(changes, copy))
            for number in range(40):
                key = f"t/{number % 3}/{number % 7}"
                change = Delete(key) if number % 5 == 4 else Put(key, b"%d" % number)
                last = await one.backend.commit([], [change])
                assert last is not None
                if number % 8 == 0:
                    await until(lambda last=last: tree.revision >= last)
            await tree.refresh()
            await until(lambda: copy == {entry.key: entry for entry in tree.view.entries.values()})
            assert len(copy) == len((await one.backend.subtree("t", most=99, most_bytes=9999)).entries) > 5
            assert not doing.done()
        await asyncio.wait_for(doing, 30.0)

    clients.play(story)


@with_connections_to_cut
def test_cuts_hide_nothing_and_it_never_goes_back(place: Place) -> None:
    async def story() -> None:
        async with (
            asyncio.timeout(60.0),
            place.backend() as other,
            place.leash() as leash,
            place.backend(by=leash) as backend,
            CachedSubtree(Sessions(backend, 10.0), "t") as tree,
        ):
            copy = dict[str, Entry]()
            doing = asyncio.create_task(following(tree.changes(), copy))
            for number in range(12):
                if number % 3 == 0:
                    leash.close()
                key = f"t/{number % 4}"
                last = await other.commit([], [Delete(key) if number == 7 else Put(key, b"%d" % number)])
                assert last is not None
                if number % 3 == 0:
                    await leash.open()
                elif number % 3 == 1:
                    leash.cut()
                else:
                    await until(lambda last=last: tree.revision >= last)
                    assert {entry.key: entry for entry in tree.view.entries.values()} == {
                        entry.key: entry for entry in await other.entries("t")
                    }
            assert not doing.done()
            await until(lambda: len(copy) == 4 and tree.error is None)
        await doing

    asyncio.run(story())


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASKED_EVERY_S", "ANSWERED_WITHIN_S", "AGAIN_AFTER_S"):
        monkeypatch.setattr(follower, name, 0.02)


def test_silence_is_noticed_and_what_was_heard_can_be_read_all_the_time(soon: None) -> None:
    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)
        await stage.client().commit([], [Put("t/a", b"1")])
        answers = asyncio.Event()
        answers.set()

        async def wait_for_answers(question: str) -> None:
            await answers.wait()

        stage.before = wait_for_answers
        async with CachedSubtree(sessions, "t") as tree:
            changes = tree.changes()
            assert (await changes.next(30.0)).resynchronized
            answers.clear()
            await until(lambda: isinstance(tree.error, TimedOut))
            stage.put("t/b", b"2", 0)
            stage.put("t/a", b"2", 0)
            await until(lambda: tree.stale_for() > 0.02)
            assert tree.keys() == ["a"]
            answers.set()
            change = await changes.next(30.0)
            assert change.resynchronized, "more may have happened than this tells"
            assert sorted(entry.key for entry in change.put) == ["t/a", "t/b"]
            await until(lambda: tree.error is None and tree.stale_for() == 0.0)
            stage.revision += 1
            stage.delete("t/b")
            change = await changes.next(30.0)
            assert not change.resynchronized
            assert [entry.key for entry in change.deleted] == ["t/b"]
        assert stage.watching == []
        await asyncio.sleep(0.01)  # here time stands still for who waits for nothing
        assert tree.stale_for() > 0.0, "nobody follows it any more"

    run(0, asyncio.wait_for(story(), 60.0))


class Behind:
    """A service whose answers are older than they were, when a test says so; it does not say what changes."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.old: Subtree | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def changes(self, key: str, *, below: bool) -> StageChanges:
        changes = cast("StageBackend", self._backend).changes(key, below=below)
        changes.tells_what = False
        return changes

    async def subtree(self, key: str, *, most: int, most_bytes: int) -> Subtree:
        newest = await self._backend.subtree(key, most=most, most_bytes=most_bytes)
        return self.old or newest


def test_an_older_state_than_was_shown_is_not_taken(soon: None) -> None:
    async def story() -> None:
        stage = Stage()
        put = stage.client().commit
        behind = Behind(stage.client())
        await put([], [Put("t/a", b"1")])
        async with CachedSubtree(Sessions(cast("Backend", behind), 10.0), "t") as tree:
            old = await stage.client().subtree("t", most=9, most_bytes=999)
            await put([], [Put("t/a", b"2")])
            await until(lambda: tree.list()[0].value == b"2")
            behind.old = old
            with pytest.raises(TimedOut):
                await tree.refresh()
            await put([], [Put("t/b", b"3")])
            await until(lambda: tree.error is not None)
            assert [entry.value for entry in tree.list()] == [b"2"]
            behind.old = None
            await until(lambda: len(tree.keys()) == 2 and tree.error is None)

    run(0, asyncio.wait_for(story(), 60.0))


class Between:
    """A service on which something happens while a key is read; `answer` is what is read then."""

    def __init__(self, backend: StageBackend) -> None:
        self._backend = backend
        self.watching: list[StageChanges] = []
        self.happens: dict[str, Callable[[], None]] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def changes(self, key: str, *, below: bool) -> StageChanges:
        self.watching.append(self._backend.changes(key, below=below))
        return self.watching[-1]

    async def get(self, key: str) -> Entry | None:
        found = await self._backend.get(key)
        happens = self.happens.pop(key, None)
        if happens is not None:
            happens()
        return found


def test_up_to_its_revision_everything_is_in_it(soon: None) -> None:
    async def story() -> None:
        stage = Stage()
        between = Between(stage.client())
        seen: list[tuple[bool, bool]] = []

        def put(key: str) -> None:
            stage.revision += 1
            stage.put(key, b"", 0)

        async with CachedSubtree(Sessions(cast("Backend", between), 10.0), "t") as tree:

            def look() -> None:
                """Of what was put while `a` was read nothing is known here, but that it was."""
                seen.append((tree.get("b") is None, tree.revision < stage.revision))

            between.happens = {"t/a": lambda: put("t/b"), "t/b": look}
            put("t/a")
            await until(lambda: tree.revision == stage.revision)
            assert tree.keys() == ["a", "b"]
        assert seen == [(True, True)]

    run(0, asyncio.wait_for(story(), 60.0))


def test_what_was_read_while_the_watch_was_lost_is_not_taken(soon: None) -> None:
    """It may come from another server, which does not know yet what this one has told."""

    async def story() -> None:
        stage = Stage()
        between = Between(stage.client())
        await stage.client().commit([], [Put("t/a", b"1")])

        def come_to_another_server() -> None:
            between.watching[-1].tells_what = False
            stage.revision += 1
            stage.put("t/a", b"2", 0)

        async with CachedSubtree(Sessions(cast("Backend", between), 10.0), "t") as tree:
            told: list[SubtreeChange] = []

            async def hear() -> None:
                async for change in tree.changes():
                    told.append(change)

            hearing = asyncio.create_task(hear())
            await until(lambda: told)
            between.happens = {"t/a": come_to_another_server}
            stage.entries.pop("t/a")  # for the server that is asked there is none
            between.watching[-1].keys.add("t/a")
            between.watching[-1].wake.set()
            await until(lambda: [entry.value for entry in tree.list()] == [b"2"])
        await hearing
        assert [change.deleted for change in told] == [(), ()]

    run(0, asyncio.wait_for(story(), 60.0))


def test_what_is_too_much_is_refused_and_what_was_there_stays(soon: None) -> None:
    async def story() -> None:
        stage = Stage()
        put = stage.client().commit
        await put([], [Put(f"t/{number}", b"") for number in range(3)])
        sessions = Sessions(stage.client(), 10.0)
        with pytest.raises(TooMuchBelow):
            await CachedSubtree(sessions, "t", most=2).__aenter__()
        with pytest.raises(TooMuchBelow):
            await CachedSubtree(sessions, "t", most_bytes=8).__aenter__()
        assert stage.watching == []
        async with CachedSubtree(sessions, "t", most=3) as tree:
            await put([], [Put("t/3", b"")])
            await until(lambda: isinstance(tree.error, TooMuchBelow))
            assert tree.keys() == ["0", "1", "2"]
            await put([], [Delete("t/0"), Delete("t/1")])
            await until(lambda: tree.keys() == ["2", "3"])
            assert tree.error is None

    run(0, asyncio.wait_for(story(), 60.0))


def test_whoever_waits_hears_that_it_is_over(soon: None) -> None:
    async def story() -> None:
        stage = Stage()

        async def lost(question: str) -> None:
            raise ConnectionLost("gone", maybe=False)

        async def closed(question: str) -> None:
            raise SessionClosed("closed", maybe=False)

        async with CachedSubtree(Sessions(stage.client(), 10.0), "t") as tree:
            changes = tree.changes()
            assert (await changes.next(30.0)).resynchronized
            stage.before = lost
            await until(lambda: isinstance(tree.error, ConnectionLost))
            stage.before = closed
            with pytest.raises(SessionClosed):
                await changes.next(30.0)
            assert tree.stale_for() > 0.0
        stage.before = lost
        with pytest.raises(ConnectionLost):
            await tree.__aenter__()

    run(0, asyncio.wait_for(story(), 60.0))


def test_who_is_slow_is_told_of_each_time_in_which_nobody_could_hear(soon: None) -> None:
    """He looks in the midst of it: what he is told then is of before, and what comes next bridges the gap."""

    async def story() -> None:
        stage = Stage()
        gone = False

        async def fail(question: str) -> None:
            await asyncio.sleep(0)
            if gone:
                raise ConnectionLost("the test wants it so", maybe=False)

        stage.before = fail
        async with CachedSubtree(Sessions(stage.client(), 10.0), "t") as tree:
            changes = tree.changes()
            assert (await changes.next(30.0)).resynchronized
            stage.put("t/a", b"1", 0)
            await until(lambda: tree.get("a"))
            gone = True
            await until(lambda: tree.error is not None)
            before = await changes.next(30.0)
            assert [entry.key for entry in before.put] == ["t/a"]
            stage.revision += 1
            stage.put("t/b", b"1", 0)
            stage.delete("t/b")
            stage.put("t/c", b"1", 0)
            gone = False
            after = await changes.next(30.0)
            assert [entry.key for entry in after.put] == ["t/c"]
            assert after.resynchronized

    run(0, asyncio.wait_for(story(), 60.0))


def test_names_that_begin_alike_are_kept_apart() -> None:
    entries = tuple(
        Entry(key, b"", 1, 1, 1, 0) for key in ("t/a", "t/a-b", "t/a/b", "t/a/b/c", "t/a0", "t/ab/c")
    )
    view = View("t", 1, entries)
    assert [entry.key for entry in view.list("a")] == ["t/a/b"]
    assert (view.names("a"), view.names("a/b"), view.names("ab")) == (["b"], ["c"], ["c"])
    assert view.names() == ["a", "a-b", "a0", "ab"]
    assert View("", 1, entries).names() == ["t"]
