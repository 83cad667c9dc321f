"""The log stays short, whoever dies over it, and whoever is behind comes along."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agreed.backends.contract import Change, Delete, Entry, Guard, Put
from agreed.client.errors import ConnectionLost
from agreed.recipes import segments
from agreed.recipes.errors import CodecError
from agreed.recipes.replicated import replica as replica_module
from agreed.recipes.replicated.replica import Replica
from agreed.recipes.replicated.snapshots import Snapshots
from agreed.recipes.replicated.state import State
from agreed.recipes.segments import Segments
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy
from tests.recipes.replicated.objects import Bank, Text
from tests.recipes.replicated.staged import client_of, play
from tests.recipes.stage import Stage, at_once

EVERY = 8


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "SNAPSHOT_EVERY", EVERY)
    monkeypatch.setattr(segments, "SEGMENT", 4)


def bank(sessions: Sessions) -> Replica[Bank]:
    return Replica(sessions, "bank", Bank)


def records_in(stage: Stage) -> list[int]:
    return [int(key[-14:]) for key in sorted(stage.entries) if key.startswith("bank/records/")]


def places_in(stage: Stage) -> set[str]:
    return {key.split("/")[2] for key in stage.entries if "/parts/" in key}


def test_who_is_late_begins_with_a_snapshot_and_goes_on_with_the_log(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            slow = bank(three)
            await slow.sync()
            async with bank(one) as mine:
                for _ in range(EVERY):
                    await mine.call(Bank.deposit, "a", 1)
            async with bank(one) as mine, bank(two) as yours:
                for _ in range(EVERY):
                    await mine.call(Bank.deposit, "a", 1)
                    await yours.call(Bank.deposit, "b", 1)
                assert await mine.sync() == 3 * EVERY
            snapshot = await one.backend.get("bank/snapshot")
            assert snapshot is not None
            assert len(await one.backend.names("bank/parts")) == 1
            assert await one.backend.get("bank/records/000000000000/00000000000000") is None
            for late in (slow, bank(two)):
                assert await late.call(Bank.all_accounts) == {"a": 2 * EVERY, "b": EVERY}
                assert (late.position, late.digest) == (3 * EVERY, mine.digest)

    clients.play(story)


def test_a_state_that_is_longer_than_a_value_is_cut_into_parts(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            async with Replica(one, "text", Text) as mine:
                await mine.call(Text.append, "1234567890" * 100)
                await mine.call(Text.repeat, 1800)
                for number in range(EVERY - 2):
                    await mine.call(Text.append, f"{number}")
            [place] = await one.backend.names("text/parts")
            assert len(await one.backend.names(f"text/parts/{place}")) > 1
            late = Replica(two, "text", Text)
            assert await late.call(Text.length) == 1_800_000 + EVERY - 2
            assert late.digest == mine.digest

    clients.play(story)


def test_of_the_log_no_more_is_kept_than_since_the_snapshot_before() -> None:
    async def story(stage: Stage) -> None:
        async with bank(client_of(stage)) as mine:
            for number in range(1, 5 * EVERY + 4):
                await mine.call(Bank.deposit, "a", 1)
                if number % EVERY == 0:
                    assert mine._keeping is not None
                    await mine._keeping
        assert records_in(stage) == list(range(4 * EVERY, 5 * EVERY + 3))
        assert len(places_in(stage)) == 1

    play(story)


def test_many_bytes_are_as_good_as_many_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "SNAPSHOT_BYTES", 10_000)

    async def story(stage: Stage) -> None:
        async with Replica(client_of(stage), "text", Text) as mine:
            await mine.call(Text.append, "x" * 4_000)
            await mine.call(Text.append, "x" * 4_000)
            assert "text/snapshot" not in stage.entries
            await mine.call(Text.append, "x" * 4_000)
        assert "text/snapshot" in stage.entries

    play(story)


def test_who_dies_over_a_snapshot_leaves_nothing_but_what_the_next_one_takes_away() -> None:
    async def story(stage: Stage) -> None:
        async with bank(client_of(stage)) as mine:
            for _ in range(EVERY - 1):
                await mine.call(Bank.deposit, "a", 1)
        dying = bank(client_of(stage))
        stops = False

        async def stop(question: str) -> None:
            if stops and question == "commit" and "bank/parts" in "".join(stage.entries):
                await asyncio.Event().wait()

        stage.before, stops = stop, True
        await dying.call(Bank.deposit, "a", 1)
        while not places_in(stage):
            await asyncio.sleep(0.005)
        assert dying._keeping is not None
        dying._keeping.cancel()
        stops = False
        left = places_in(stage)
        assert "bank/snapshot" not in stage.entries
        async with bank(client_of(stage)) as mine:
            for _ in range(EVERY):
                await mine.call(Bank.deposit, "a", 1)
        assert len(places_in(stage)) == 1
        assert not left & places_in(stage)
        assert records_in(stage) == list(range(2 * EVERY))  # there was no snapshot before this one

    play(story)


def state_at(mine: Replica[Bank], position: int) -> State[Bank]:
    schema = mine._schema
    return State(schema, position, b'{"accounts":{"a":%d}}' % position, 0)


@pytest.mark.parametrize(
    ("stops_at", "slow", "fast"), [("bank/parts", 8, 16), ("bank/snapshot", 8, 16), ("bank/snapshot", 16, 8)]
)
def test_of_two_who_write_at_the_same_time_the_newer_one_counts(stops_at: str, slow: int, fast: int) -> None:
    async def story(stage: Stage) -> None:
        mine = bank(client_of(stage))
        halfway, goes_on = asyncio.Event(), asyncio.Event()
        slow_backend = stage.client()
        commit = slow_backend.commit

        async def wait(guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
            if changes[0].key.startswith(stops_at):
                halfway.set()
                await goes_on.wait()
            return await commit(guards, changes)

        slow_backend.commit = wait  # type: ignore[method-assign]
        kept = Snapshots(stage.client(), "bank", Segments(stage.client(), "bank"))
        slowly = Snapshots(slow_backend, "bank", Segments(slow_backend, "bank"))
        writing = asyncio.create_task(slowly.write(state_at(mine, slow)))
        await halfway.wait()
        await kept.write(state_at(mine, fast))
        goes_on.set()
        await writing
        newest = await kept.newest()
        assert newest is not None
        assert newest.position == 16
        assert places_in(stage) == {newest.place}
        assert await kept.read(newest) == b'{"accounts":{"a":16}}'

    play(story)


def test_who_reads_a_snapshot_that_is_taken_away_meanwhile_takes_the_newer_one() -> None:
    async def story(stage: Stage) -> None:
        mine = bank(client_of(stage))
        kept = Snapshots(stage.client(), "bank", Segments(stage.client(), "bank"))
        await kept.write(state_at(mine, 8))
        older = await kept.newest()
        assert older is not None
        await kept.write(state_at(mine, 16))
        assert await kept.read(older) is None
        for key in [key for key in stage.entries if "/parts/" in key]:
            stage.delete(key)
        newer = await kept.newest()
        assert newer is not None
        with pytest.raises(CodecError):
            await kept.read(newer)

    play(story)


def test_lost_answers_do_not_spoil_a_snapshot() -> None:
    async def story(stage: Stage) -> None:
        sessions, way = lossy(client_of(stage))
        mine = bank(client_of(stage))
        kept = Snapshots(sessions.backend, "bank", Segments(sessions.backend, "bank"))
        way.lose(Loss.DONE, Loss.LATE, Loss.NOT_DONE)
        await kept.write(state_at(mine, 8))
        way.lose(Loss.NOT_DONE, Loss.DONE)
        await kept.write(state_at(mine, 16))
        await way.arrive()
        assert way.lost == 5
        newest = await kept.newest()
        assert newest is not None
        assert newest.position == 16
        assert await kept.read(newest) == state_at(mine, 16).raw

    play(story)


def test_a_snapshot_that_cannot_be_written_is_written_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        failed = 0

        async def fail(state: State[Bank]) -> None:
            nonlocal failed
            failed += 1
            raise ConnectionLost("the test wants it so", maybe=True)

        async with bank(client_of(stage)) as mine:
            with monkeypatch.context() as patch:
                patch.setattr(mine._snapshots, "write", fail)
                for _ in range(2 * EVERY):
                    await mine.call(Bank.deposit, "a", 1)
                assert mine._keeping is not None
                await mine._keeping
            assert failed == 2
            assert "bank/snapshot" not in stage.entries
            for _ in range(EVERY):
                await mine.call(Bank.deposit, "a", 1)
        assert "bank/snapshot" in stage.entries

    play(story)


def test_a_hole_in_the_log_is_not_jumped_over() -> None:
    async def story(stage: Stage) -> None:
        async with bank(client_of(stage)) as mine:
            for _ in range(EVERY + 3):
                await mine.call(Bank.deposit, "a", 1)
        for key in [key for key in stage.entries if key.endswith(f"/{EVERY + 1:014}")]:
            stage.delete(key)
        with pytest.raises(CodecError, match=f"not all commands from {EVERY} on are there"):
            await bank(client_of(stage)).sync()

    play(story)


def test_a_log_without_its_beginning_is_none() -> None:
    async def story(stage: Stage) -> None:
        mine = bank(client_of(stage))
        for _ in range(3):
            await mine.call(Bank.deposit, "a", 1)
        await stage.client().commit([], [Delete("bank/records/000000000000/00000000000001")])
        with pytest.raises(CodecError, match="not all commands from 0"):
            await bank(client_of(stage)).sync()
        await stage.client().commit([], [Put("bank/snapshot", b"?")])
        with pytest.raises(CodecError):
            await bank(client_of(stage)).sync()

    play(story)


def test_who_cannot_know_any_more_whether_it_was_done_says_so() -> None:
    async def story(stage: Stage) -> None:
        sessions, way = lossy(client_of(stage))
        mine = bank(sessions)
        await mine.call(Bank.deposit, "a", 1)

        async def others() -> None:
            async with bank(client_of(stage)) as yours:
                for _ in range(3 * EVERY):
                    await yours.call(Bank.deposit, "b", 1)
                    if yours._keeping is not None:
                        await yours._keeping

        way.meanwhile = others
        way.lose(Loss.DONE)
        with pytest.raises(ConnectionLost) as told:
            await mine.call(Bank.deposit, "a", 1)
        assert told.value.maybe
        assert await mine.call(Bank.all_accounts) == {"a": 2, "b": 3 * EVERY}

    play(story)


def test_who_reads_a_snapshot_that_is_newer_than_what_he_has_seen_goes_on_from_there() -> None:
    """He looked how long the log is, others went on meanwhile, and the snapshot is behind what he saw."""

    async def story(stage: Stage) -> None:
        sessions = client_of(stage)
        yours = bank(client_of(stage))

        async def go_on() -> None:
            async with yours:
                for _ in range(EVERY):
                    await yours.call(Bank.deposit, "b", 1)

        await go_on()
        get = sessions.backend.get
        looked = False

        async def be_slow(key: str) -> Entry | None:
            nonlocal looked
            if key == "bank/snapshot" and not looked:
                looked = True
                await go_on()
                await go_on()
            return await get(key)

        sessions.backend.get = be_slow  # type: ignore[method-assign]
        mine = bank(sessions)
        assert await mine.sync() == 3 * EVERY
        assert looked
        assert await mine.call(Bank.deposit, "b", 1) == 3 * EVERY + 1
        assert mine.error is None

    play(story)


def test_who_is_stopped_while_he_catches_up_goes_on_when_he_can() -> None:
    async def story(stage: Stage) -> None:
        mine, yours = bank(client_of(stage)), bank(client_of(stage))
        await mine.call(Bank.deposit, "a", 1)
        for _ in range(6):
            await yours.call(Bank.deposit, "a", 1)
        gets = 0

        async def fail(question: str) -> None:
            nonlocal gets
            gets += question == "get"
            if gets > 4:  # the length, and the commands of one segment
                raise ConnectionLost("the test wants it so", maybe=False)

        stage.before = fail
        with pytest.raises(ConnectionLost):
            await mine.sync()
        assert 1 < mine.position < 7
        stage.before = at_once
        assert await mine.call(Bank.deposit, "a", 1) == 8
        assert mine.error is None

    play(story)


def test_who_is_stopped_while_he_takes_old_commands_away_leaves_none_for_ever() -> None:
    async def story(stage: Stage) -> None:
        async with bank(client_of(stage)) as mine:
            for _ in range(3 * EVERY):
                await mine.call(Bank.deposit, "a", 1)
        kept = Segments(stage.client(), "bank")
        before = records_in(stage)
        commits = 0

        async def fail(question: str) -> None:
            nonlocal commits
            commits += question == "commit"
            if commits > 1:
                raise ConnectionLost("the test wants it so", maybe=False)

        stage.before = fail
        with pytest.raises(ConnectionLost):
            await kept.delete_below(before[-1])
        stage.before = at_once
        left = records_in(stage)
        assert left == list(range(left[0], before[-1] + 1)), "no hole, behind which nobody would look"
        assert before[0] < left[0]
        await kept.delete_below(before[-1] + 1)
        assert records_in(stage) == []

    play(story)
