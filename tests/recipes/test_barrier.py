"""All of a generation go on, or none; whoever is missing, the others are told what is promised then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agreed.backends.contract import Change, Delete, Entry, Guard, Put
from agreed.client.errors import SessionExpired, TimedOut
from agreed.recipes.barrier import Barrier, DoubleBarrier
from agreed.recipes.errors import BarrierBroken, CodecError, Differs, WaitTimeout
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients, nobody_is_left
from tests.recipes.lossy import Loss, lossy
from tests.recipes.stage import Stage
from tests.recipes.world.virtual import run


async def until_waiting(barrier: Barrier, number: int) -> None:
    while await barrier.waiting() != number:
        await asyncio.sleep(0.005)


def test_nobody_goes_on_before_all_have_come_and_it_is_used_again(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            barriers = [Barrier(each, "epoch", 3) for each in (one, two, one)]
            for generation in (1, 2, 3):
                waiting = [asyncio.create_task(each.wait()) for each in barriers[:2]]
                await until_waiting(barriers[0], 2)
                assert not any(each.done() for each in waiting)
                assert await barriers[2].wait(30.0) == generation
                assert await asyncio.gather(*waiting) == [generation] * 2
            for each in (one, two):
                await each.tidied()
            await nobody_is_left(one, "epoch")

    clients.play(story)


def test_many_at_once_go_through_in_generations_of_as_many_as_there_are_parties(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            passed = await asyncio.gather(*(Barrier(each, "epoch", 3).wait(40.0) for each in (one, two) * 6))
            assert sorted(passed) == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3

    clients.play(story)


def test_who_stops_waiting_has_never_come(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            barrier = Barrier(one, "epoch", 2)
            with pytest.raises(WaitTimeout, match="not all have come"):
                await barrier.wait(0.1)
            for turns in range(10):
                task = asyncio.create_task(barrier.wait())
                for _ in range(turns):
                    await asyncio.sleep(0.001)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await one.tidied()
            assert await barrier.waiting() == 0
            other = asyncio.create_task(Barrier(two, "epoch", 2).wait())
            await until_waiting(barrier, 1)
            assert await barrier.wait(30.0) == await other

    clients.play(story)


def test_timeouts_and_comings_at_once_never_let_one_through_alone(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            through: list[int] = []

            async def come(sessions: Sessions, timeout: float) -> None:
                try:
                    through.append(await Barrier(sessions, "epoch", 3).wait(timeout))
                except WaitTimeout:
                    pass

            await asyncio.gather(
                *(come((one, two)[number % 2], 0.004 * (number % 7)) for number in range(24))
            )
            assert all(through.count(generation) == 3 for generation in through)

    clients.play(story)


def test_a_party_that_dies_while_it_waits_breaks_its_generation_and_not_the_next(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            barrier = Barrier(one, "epoch", 3)
            dying = asyncio.create_task(Barrier(two, "epoch", 3).wait())
            await until_waiting(barrier, 1)
            waiting = asyncio.create_task(barrier.wait())
            await until_waiting(barrier, 2)
            await (await two.get()).close()
            with pytest.raises(BarrierBroken):
                await waiting
            with pytest.raises((SessionExpired, BarrierBroken)):
                await dying
            again = [asyncio.create_task(Barrier(each, "epoch", 3).wait()) for each in (one, two)]
            await until_waiting(barrier, 2)
            assert await Barrier(three, "epoch", 3).wait(30.0) == 2
            assert await asyncio.gather(*again) == [2, 2]

    clients.play(story)


def test_whose_entry_is_deleted_by_somebody_does_not_wait_for_ever(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            barrier = Barrier(one, "epoch", 2)
            waiting = asyncio.create_task(barrier.wait())
            await until_waiting(barrier, 1)
            [mark] = await two.backend.names("epoch")
            await two.backend.commit([], [Delete(f"epoch/{mark}")])
            with pytest.raises(BarrierBroken, match="is gone"):
                await waiting

    clients.play(story)


def test_who_comes_after_all_who_waited_are_dead_does_not_hear_of_them(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            dying = asyncio.create_task(Barrier(two, "epoch", 2).wait())
            await until_waiting(Barrier(one, "epoch", 2), 1)
            dying.add_done_callback(lambda task: task.exception())
            await (await two.get()).close()
            with pytest.raises(WaitTimeout):
                await Barrier(one, "epoch", 2).wait(0.3)
            again = asyncio.create_task(Barrier(two, "epoch", 2).wait())
            assert await Barrier(one, "epoch", 2).wait(30.0) == await again == 2

    clients.play(story)


@pytest.mark.parametrize(
    "losses", [[Loss.DONE] * 4, [Loss.NOT_DONE] * 4, [Loss.LATE] * 4, list(Loss)[:3] * 2]
)
def test_whose_answers_are_lost_has_come_once(clients: Clients, losses: Sequence[Loss]) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            for generation in (1, 2):
                way.lose(*losses)
                mine = asyncio.create_task(Barrier(sessions, "epoch", 3).wait())
                await until_waiting(Barrier(two, "epoch", 3), 1)
                others = [asyncio.create_task(Barrier(two, "epoch", 3).wait()) for _ in range(2)]
                assert await asyncio.gather(mine, *others) == [generation] * 3
                await way.arrive()
                assert await Barrier(two, "epoch", 3).waiting() == 0
            await sessions.close()

    clients.play(story)


def test_who_stops_waiting_before_he_has_come_does_not_come_later(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            for _ in range(2):
                way.lose(Loss.LATE)
                way.meanwhile = asyncio.Event().wait
                lost = way.lost
                coming = asyncio.create_task(Barrier(sessions, "epoch", 2).wait())
                while way.lost == lost:
                    await asyncio.sleep(0.001)
                coming.cancel()
                await asyncio.wait((coming,))
                await sessions.tidied()
                assert await way.arrive() == [None]
                assert await Barrier(two, "epoch", 2).waiting() == 0
                passed = await asyncio.gather(*(Barrier(each, "epoch", 2).wait(30.0) for each in (one, two)))
                assert passed[0] == passed[1]
            await sessions.close()

    clients.play(story)


def test_whose_time_is_over_just_after_he_was_let_through_was_let_through() -> None:
    async def story() -> None:
        stage = Stage()
        sessions, way = lossy(Sessions(stage.client(), 10.0))
        other = Barrier(Sessions(stage.client(), 10.0), "epoch", 2)
        mine = asyncio.create_task(Barrier(sessions, "epoch", 2).wait(0.5))
        await until_waiting(other, 1)
        way.stall()
        assert await other.wait() == await mine == 1
        await sessions.close()

    run(0, asyncio.wait_for(story(), 20))


@pytest.mark.parametrize("generations", [1, 2, 3])
@pytest.mark.parametrize(
    ("losses", "goes_on"),
    [
        pytest.param([Loss.UNHEARD], True, id="it came, and its time was over before it heard so"),
        pytest.param([Loss.NOTHING, Loss.NOT_DONE], True, id="its request to stop was lost"),
        pytest.param([Loss.NOTHING, Loss.DONE], False, id="it has stopped, and the answer was lost"),
    ],
)
def test_whose_time_is_over_hears_what_is_true_however_many_went_on_since(
    losses: Sequence[Loss], goes_on: bool, generations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever of the others goes on with him, goes on alone where he hears that nobody did."""
    monkeypatch.setattr("agreed.recipes.barrier.KNOWN_WITHIN_S", 60.0)

    async def story() -> None:
        stage = Stage()
        sessions, way = lossy(Sessions(stage.client(), 10.0))
        yours = Sessions(stage.client(), 10.0)
        went_on: list[int] = []

        async def others() -> None:
            missing = 2 * generations - (1 if goes_on else 0)
            went_on.extend(await asyncio.gather(*(Barrier(yours, "epoch", 2).wait() for _ in range(missing))))

        way.lose(*losses)
        way.meanwhile = others
        mine = Barrier(sessions, "epoch", 2).wait(0.05)
        if goes_on:
            assert await mine == 1
            assert sorted(went_on) == sorted([1, *range(2, generations + 1), *range(2, generations + 1)])
        else:
            with pytest.raises(WaitTimeout) as told:
                await mine
            assert told.value.surely_not_done
            assert sorted(went_on) == sorted([*range(1, generations + 1)] * 2)
        await sessions.tidied()
        assert await yours.backend.names("epoch") == []
        await sessions.close()

    run(0, asyncio.wait_for(story(), 60))


@pytest.mark.parametrize("can_look", [True, False])
def test_whose_session_ends_just_after_he_was_let_through_was_let_through(
    can_look: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on with him, and so he is not told that nobody did."""

    async def story() -> None:
        stage = Stage()
        backend, slow = stage.client(), stage.client()
        mine, yours = Sessions(backend, 10.0), Sessions(slow, 10.0)
        put, commit = stage.put, slow.commit

        async def late(guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
            await asyncio.sleep(0.02)  # the one before has looked, and waits
            return await commit(guards, changes)

        monkeypatch.setattr(slow, "commit", late)

        async def away(key: str) -> Entry | None:
            raise TimedOut("no answer in time", maybe=False)

        def and_then(key: str, value: bytes, owner: int) -> Entry:
            entry = put(key, value, owner)
            if b'"passed":["' in value:
                if not can_look:
                    monkeypatch.setattr(backend, "get", away)
                stage.opened[0].end()
            return entry

        monkeypatch.setattr(stage, "put", and_then)
        waiting = asyncio.create_task(Barrier(mine, "b", 2).wait())
        while await Barrier(yours, "b", 2).waiting() != 1:
            await asyncio.sleep(0.001)
        assert await Barrier(yours, "b", 2).wait() == 1
        if can_look:
            assert await waiting == 1
        else:
            with pytest.raises(SessionExpired) as told:
                await waiting
            assert told.value.maybe

    run(0, story())


def test_who_counts_another_number_of_parties_is_refused(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            await Barrier(one, "epoch", 1).wait()
            with pytest.raises(Differs, match="1 parties, and not 2"):
                await Barrier(two, "epoch", 2).wait()
            await one.backend.commit([], [Put("other", b"1")])
            with pytest.raises(CodecError, match="no barrier"):
                await Barrier(two, "other", 2).wait()
            with pytest.raises(ValueError, match="one party or more"):
                Barrier(one, "epoch", 0)

    clients.play(story)


def test_all_go_in_together_and_out_together(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            inside, done = set[int](), list[int]()

            async def work(sessions: Sessions, number: int, until: asyncio.Event) -> None:
                async with DoubleBarrier(sessions, "job", 3):
                    inside.add(number)
                    await until.wait()
                done.append(number)

            for _ in range(2):
                ends = [asyncio.Event() for _ in range(3)]
                tasks = [
                    asyncio.create_task(work(each, number, ends[number]))
                    for number, each in enumerate((one, two, one))
                ]
                while len(inside) < 3:
                    await asyncio.sleep(0.005)
                ends[0].set()
                ends[1].set()
                while len(await one.backend.names("job")) > 1:
                    await asyncio.sleep(0.005)
                assert done == []
                ends[2].set()
                await asyncio.gather(*tasks)
                assert sorted(done) == [0, 1, 2]
                inside.clear()
                done.clear()
            await nobody_is_left(one, "job")

    clients.play(story)


def test_who_dies_or_fails_within_a_double_barrier_holds_nobody_back(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            barrier = DoubleBarrier(one, "job", 3)

            async def die() -> None:
                async with DoubleBarrier(two, "job", 3).once(timeout=20.0):
                    await (await two.get()).close()

            async def fail() -> None:
                async with DoubleBarrier(three, "job", 3):
                    raise ValueError("mine")

            dying, failing = asyncio.create_task(die()), asyncio.create_task(fail())
            async with barrier as generation:
                assert generation == 1
            with pytest.raises(SessionExpired, match="within the double barrier"):
                await dying
            with pytest.raises(ValueError, match="mine"):
                await failing

    clients.play(story)


def test_who_goes_out_does_not_wait_for_ever_for_one_that_stays(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            end = asyncio.Event()

            async def stay() -> None:
                async with DoubleBarrier(two, "job", 2):
                    await end.wait()

            staying = asyncio.create_task(stay())
            await until_waiting(Barrier(one, "job", 2), 1)
            passage = DoubleBarrier(one, "job", 2).once()
            with pytest.raises(WaitTimeout, match="not all are done"):
                async with passage:
                    passage.timeout_s = 0.1
            end.set()
            await staying

    clients.play(story)
