"""Small histories drawn at random: clients that overlap, time out, crash, fail, and are lied to."""
from __future__ import annotations

import copy
from collections.abc import Hashable
from random import Random

import msgspec

from agreed.check.history import History, Operation, Process, Status, history
from agreed.check.models.tree import ERRORS
from tests.check.things import THINGS, Refused, Thing


def draw(model: str, random: Random, lies: bool = True) -> History:
    """A history of one to eight operations on a thing of that kind; without lies it is linearizable."""
    return _Play(model, random, lies).history()


class _Play:
    def __init__(self, model: str, random: Random, lies: bool) -> None:
        self.random = random
        self.chance_of_lies = random.choice([0.0, 0.1, 0.3]) if lies else 0.0
        self.chance_of_crashes = random.choice([0.0, 0.2, 0.5])
        self.things: dict[Hashable, Thing] = {}
        self.make = THINGS[model]
        self.operations: list[Operation] = []
        self.now = 0

    def history(self) -> History:
        """Each process, at each of its turns, calls, or has its effect, or returns."""
        left = self.random.randint(1, 8)
        processes = self.random.randint(1, 4)
        names = iter(range(1_000))
        waiting: list[Process] = [next(names) for _ in range(processes)]
        under_way: list[_UnderWay] = []
        while left or under_way:
            self.now += self.random.choice([0, 1, 1])
            if left and waiting and self.random.random() < 0.5:
                left -= 1
                process = waiting.pop(self.random.randrange(len(waiting)))
                under_way.append(self._call(process))
            elif under_way:
                each = self.random.choice(under_way)
                if not each.done:
                    each.do()
                    continue
                under_way.remove(each)
                if self._return(each):
                    waiting.append(each.process)
                else:
                    waiting.append(next(names))
        ordered = sorted(self.operations, key=lambda each: each.called)
        return history(msgspec.structs.replace(each, index=index) for index, each in enumerate(ordered))

    def _call(self, process: Process) -> _UnderWay:
        key = self.random.choice(self.make().keys)
        thing = self.things.setdefault(key, self.make())
        function, argument = thing.draw(self.random, process)
        happens = self.random.random() > 0.15
        return _UnderWay(thing, process, function, argument, key, self.now, happens)

    def _return(self, each: _UnderWay) -> bool:
        """Takes down what the client knows; whether it goes on under its name."""
        status, result, error = Status.OK, each.result, each.error
        lies = self.random.random() < self.chance_of_lies
        if each.refused and lies:
            result, error = each.thing.invent(self.random, each.function, None), None
        elif each.refused:
            answered = error in ERRORS and self.random.random() < 0.8
            status = Status.OK if answered else Status.FAIL
            if each.function == "cas" and self.random.random() < 0.5:
                status, result = Status.OK, False
        elif not each.happens and not lies:
            status, error = Status.FAIL, "down"
        elif lies and each.happens:
            result = each.thing.invent(self.random, each.function, result)
        if self.random.random() < self.chance_of_crashes:
            status, result, error = Status.INFO, None, None
        self.operations.append(
            Operation(
                index=len(self.operations),
                process=each.process,
                function=each.function,
                argument=each.argument,
                result=result if status is Status.OK else None,
                called=each.called,
                returned=None if status is Status.INFO else self.now,
                status=status,
                key=each.key,
                error=error,
            )
        )
        return status is not Status.INFO


class _UnderWay:
    def __init__(
        self,
        thing: Thing,
        process: Process,
        function: str,
        argument: object,
        key: Hashable,
        called: int,
        happens: bool,
    ) -> None:
        self.thing = thing
        self.process = process
        self.function = function
        self.argument = argument
        self.key = key
        self.called = called
        self.happens = happens
        self.done = False
        self.refused = False
        self.result: object = None
        self.error: str | None = None

    def do(self) -> None:
        """It takes effect now, if it does; a liar answers as if it had."""
        self.done = True
        thing = self.thing if self.happens else copy.deepcopy(self.thing)
        try:
            self.result = thing.do(self.function, self.argument, self.process)
        except Refused as refusal:
            self.refused = True
            self.error = refusal.error
