"""One leads, everybody sees who, and the next one follows at once."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Delete
from agreed.recipes.election import Election, Term
from agreed.recipes.errors import LeadershipLost
from tests.recipes.conftest import Clients, until_so_many_wait


def test_the_next_one_leads_when_the_leader_resigns_and_when_his_session_ends(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            elections = [
                Election(each, "leader", value=name)
                for each, name in ((one, b"1"), (two, b"2"), (three, b"3"))
            ]
            terms = [await elections[0].acquire()]
            later = []
            for number, election in enumerate(elections[1:], start=1):
                later.append(asyncio.create_task(election.acquire()))
                await until_so_many_wait(election, number)
            assert [each.value for each in await elections[2].candidates()] == [b"1", b"2", b"3"]
            await terms[0].resign()
            terms.append(await later[0])
            leader = await elections[0].leader()
            assert leader is not None
            assert (leader.value, leader.token) == (b"2", terms[1].token)
            await terms[1].session.close()
            terms.append(await later[1])
            assert terms[1].lost
            with pytest.raises(LeadershipLost):
                terms[1].check()
            assert terms[0].token < terms[1].token < terms[2].token
            await terms[2].resign()
            assert await elections[0].leader() is None

    clients.play(story)


def test_who_follows_sees_each_leader_and_that_there_is_none(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            election = Election(one, "leader", value=b"1")
            async with Election(two, "leader").follow() as leaders:
                assert await leaders.next(30.0) is None
                with pytest.raises(TimeoutError):
                    await leaders.next(0.05)
                async with election.lead() as term:
                    leader = await leaders.next(30.0)
                    assert leader is not None
                    assert (leader.value, leader.token) == (b"1", term.token)
                    await term.proclaim(b"one")
                    leader = await leaders.next(30.0)
                    assert leader is not None
                    assert (leader.value, leader.token) == (b"one", term.token)
                assert await leaders.next(30.0) is None

    clients.play(story)


def test_who_leads_no_longer_cannot_proclaim(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            term = await Election(one, "leader", value=b"1").acquire()
            assert await two.backend.commit([], [Delete(term.key)]) is not None
            with pytest.raises(LeadershipLost, match="deleted by somebody else"):
                await term.proclaim(b"still me")
            assert term.lost

    clients.play(story)


def test_work_is_done_again_in_the_next_term_after_a_loss(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            tokens = []

            async def work(term: Term) -> str:
                tokens.append(term.token)
                if len(tokens) == 1:
                    await term.session.close()
                    await asyncio.Event().wait()
                return "done"

            assert await Election(one, "leader").run(work) == "done"
            assert len(tokens) == 2
            assert tokens[0] < tokens[1]

            async def fail(term: Term) -> None:
                raise ValueError("mine")

            with pytest.raises(ValueError, match="mine"):
                await Election(one, "leader").run(fail)

    clients.play(story)
