"""Replicated objects on threads look like objects of their class."""

from __future__ import annotations

import asyncio
import threading

import pytest

import agreed.coordination.client as asynchronous
from agreed.errors import ConfigurationError
from agreed.recipes.errors import NewerVersion
from tests.coordination.test_synchronous import Cast
from tests.recipes.replicated.objects import Bank, Refused
from tests.recipes.replicated.shops import ShopOf2


@pytest.fixture
def cast() -> Cast:
    return Cast()


def test_threads_of_several_clients_call_methods(cast: Cast) -> None:
    told: list[int] = []

    def work() -> None:
        with cast.client() as client, client.replicated(Bank, "bank") as bank:
            for _ in range(5):
                told.append(bank.deposit("a", amount=1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(told) == list(range(1, 21))
    with cast.client() as client, client.replicated(Bank, "bank") as bank:
        assert bank.balance("a") == 20
        with pytest.raises(Refused, match="b"):
            bank.transfer("b", "a")


def test_what_stands_for_the_object_has_its_commands_and_nothing_else(cast: Cast) -> None:
    with cast.client() as client:
        replica = client.replicated(Bank, "bank")
        with replica as bank:
            bank.deposit("a", 2)
            assert repr(bank) == "<replicated Bank 'bank'>"
            with pytest.raises(AttributeError, match="accounts"):
                _ = bank.accounts
            with pytest.raises(AttributeError, match="by its commands"):
                bank.accounts = {}
            with pytest.raises(AttributeError, match="robbed"):
                bank.robbed()  # type: ignore[attr-defined]
            assert replica.local(Bank.balance, "a") == 2
            assert replica.call(Bank.deposit, "a", amount=1) == 3
            assert (replica.position, replica.sync(), replica.error) == (2, 2, None)
            assert replica.kind is Bank
            assert len(replica.digest) == 32


def test_what_is_refused_is_refused_here_as_well(cast: Cast) -> None:
    with cast.client() as client:
        with pytest.raises(ConfigurationError):
            client.replicated(Cast, "cast")
        with client.replicated(ShopOf2, "shop", compatible=1, timeout=5.0) as shop:
            shop.put("a", 1)
            with pytest.raises(NewerVersion):
                shop.give_back("a", 1)


def test_the_asynchronous_client_has_them_too(cast: Cast) -> None:
    async def story() -> None:
        client = asynchronous.Client(cast.stage.client(), ttl=10.0, identity="me")
        async with client, client.replicated(Bank, "bank") as bank:
            assert await bank.call(Bank.deposit, "a", 1) == 1

    asyncio.run(story())
