"""Accounts, and transfers between them; no money appears or vanishes, and no account is overdrawn.

| function | argument                               | result                                |
| -------- | -------------------------------------- | ------------------------------------- |
| read     |                                        | a map of all accounts to balances     |
| transfer | {"from": "a", "to": "b", "amount": 5}  |                                       |

`initial` gives the balances; without it the first read does (and then accounts may be overdrawn up to it,
for nobody knows).  Names of accounts are compared as text, because JSON has no other.
"""
from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from agreed.check.history import Operation, Status
from agreed.check.models.model import Model
from agreed.check.models.values import Map, malformed, number, unknown_function
from agreed.errors import MalformedInput


class Balances(NamedTuple):
    """`known` is False before the first read where nothing was said: then these are changes since then."""

    accounts: Map
    known: bool

    def __sizeof__(self) -> int:
        return tuple.__sizeof__(self) + self.accounts.__sizeof__()


class Bank(Model[Balances]):
    """Balances by account."""

    name = "bank"

    def __init__(self, initial: object = None) -> None:
        if not isinstance(initial, Mapping | None):
            raise MalformedInput(f"a {self.name} begins with a map, not with {initial!r}")
        accounts = Map({str(name): balance for name, balance in (initial or {}).items()})
        self._initial = Balances(accounts, initial is not None)

    @property
    def initial(self) -> Balances:
        return self._initial

    def effect(self, operation: Operation) -> Hashable:
        match operation.function:
            case "read" if operation.status is not Status.OK or operation.result is None:
                return None
            case "read":
                return ("read", _balances(operation))
            case "transfer":
                return None if operation.status is Status.FAIL else ("transfer", *_transfer(operation))
        raise unknown_function(self.name, operation)

    def step(self, state: Balances, operation: Operation) -> Sequence[Balances]:
        if operation.function == "transfer":
            return self._transferred(state, *_transfer(operation))
        read = _balances(operation)
        if state.known:
            return (state,) if state.accounts == read else ()
        possible = all(account in read for account in state.accounts) and not _overdrawn(read)
        return (Balances(read, True),) if possible else ()

    def _transferred(self, state: Balances, source: str, target: str, amount: int) -> Sequence[Balances]:
        left = _of(state.accounts, source) - amount
        if state.known and (left < 0 or source not in state.accounts or target not in state.accounts):
            return ()
        accounts = state.accounts.with_(source, left)
        return (Balances(accounts.with_(target, _of(accounts, target) + amount), state.known),)

    def reads_only(self, operation: Operation) -> bool:
        return operation.function == "read" and self._initial.known

    def may_follow(self, first: Operation, second: Operation) -> bool:
        """Transfers between different accounts."""
        if first.function != "transfer" or second.function != "transfer":
            return False
        return not {*_transfer(first)[:2]} & {*_transfer(second)[:2]}

    def show(self, state: Balances) -> str:
        return repr(state.accounts) if state.known else f"unknown, then {state.accounts!r}"


def _overdrawn(accounts: Map) -> bool:
    return any(_of(accounts, account) < 0 for account in accounts)


def _of(accounts: Map, name: Hashable) -> int:
    balance = accounts.get(name, 0)
    assert isinstance(balance, int)
    return balance


def _balances(operation: Operation) -> Map:
    if not isinstance(operation.result, Mapping):
        raise malformed(operation, "a map of balances", operation.result)
    return Map({str(name): number(operation, balance) for name, balance in operation.result.items()})


def _transfer(operation: Operation) -> tuple[str, str, int]:
    match operation.argument:
        case {"from": source, "to": target, "amount": amount}:
            return str(source), str(target), number(operation, amount)
    raise malformed(operation, "from, to and amount")
