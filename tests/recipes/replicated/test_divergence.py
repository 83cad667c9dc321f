"""A copy that differs says so, at the command after which it did, and answers nothing any more."""

from __future__ import annotations

import pytest

from agreed.backends.contract import Put
from agreed.recipes.errors import CodecError, Diverged
from agreed.recipes.replicated import replica as replica_module
from agreed.recipes.replicated.replica import Replica
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients
from tests.recipes.replicated.objects import Bank, Careful, Careless
from tests.recipes.replicated.staged import client_of, play
from tests.recipes.stage import Stage


def careless(sessions: Sessions) -> Replica[Careless]:
    return Replica(sessions, "careless", Careless)


def test_who_differs_is_told_where_and_by_what_and_stops(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = careless(one), careless(two)
            assert await mine.call(Careless.add, 1.5) == 1
            assert await yours.call(Careless.add, 2.5) == 2
            await mine.call(Careless.draw)
            theirs = mine.digest
            for _ in range(2):
                with pytest.raises(Diverged, match="draw, command 2 of the log") as told:
                    await yours.call(Careless.add, 3.5)
            error = told.value
            assert (error.name, error.position, error.command) == ("careless", 2, "draw")
            assert error.theirs == theirs != error.ours
            assert error.surely_not_done
            assert yours.error is error
            with pytest.raises(Diverged):
                await yours.sync()
            with pytest.raises(Diverged):
                yours.local(Careless.count)
            assert await mine.call(Careless.add, 3.5) == 4  # nothing of the other one has come into the log

    clients.play(story)


def test_a_clock_in_a_command_is_found_as_well_also_by_who_only_follows() -> None:
    async def story(stage: Stage) -> None:
        mine = careless(client_of(stage))
        async with careless(client_of(stage)) as following:
            await mine.call(Careless.wait)
            with pytest.raises(Diverged):
                await following.sync()

    play(story)


def test_who_raises_what_others_did_has_diverged() -> None:
    async def story(stage: Stage) -> None:
        mine, yours = Replica(client_of(stage), "bank", Bank), Replica(client_of(stage), "bank", Bank)
        await mine.call(Bank.deposit, "a", 1)
        await mine.call(Bank.transfer, "a", "b", 1)
        record = stage.entries["bank/records/000000000000/00000000000001"]
        wrong = record.value.replace(b'"amount":1', b'"amount":5')
        await stage.client().commit([], [Put(record.key, wrong)])
        with pytest.raises(Diverged, match="Refused: a") as told:
            await yours.call(Bank.balance, "a")
        assert told.value.theirs == mine.digest

    play(story)


def test_a_copy_that_begins_anew_takes_the_snapshot_of_who_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command did that depends on who ran it is in the snapshot, so nobody has to run it again."""
    monkeypatch.setattr(replica_module, "SNAPSHOT_EVERY", 4)

    async def story(stage: Stage) -> None:
        async with careless(client_of(stage)) as mine:
            await mine.call(Careless.draw)
            with pytest.raises(Diverged):
                await careless(client_of(stage)).sync()
            for _ in range(3):
                await mine.call(Careless.add, 1.0)
        newcomer = careless(client_of(stage))
        assert await newcomer.call(Careless.count) == 4
        assert newcomer.digest == mine.digest

    play(story)


def test_a_newer_version_that_does_the_same_everywhere_mends_it() -> None:
    async def story(stage: Stage) -> None:
        mine = careless(client_of(stage))
        await mine.call(Careless.add, 1.5)
        await mine.call(Careless.draw)
        copies = [Replica(client_of(stage), "careless", Careful) for _ in range(2)]
        for copy in copies:
            assert await copy.call(Careful.draw) is None
        assert [await copy.call(Careful.count) for copy in copies] == [4, 4]
        assert copies[0].digest == copies[1].digest

    play(story)


def test_a_snapshot_that_was_changed_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "SNAPSHOT_EVERY", 4)

    async def story(stage: Stage) -> None:
        async with careless(client_of(stage)) as mine:
            for _ in range(4):
                await mine.call(Careless.add, 1.0)
        [part] = [key for key in stage.entries if key.startswith("careless/parts/")]
        await stage.client().commit([], [Put(part, b'{"numbers":[1,1,1,2]}')])
        with pytest.raises(CodecError, match="not the snapshot"):
            await careless(client_of(stage)).sync()

    play(story)
