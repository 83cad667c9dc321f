"""A network of the kernel's, with machines of its own, in our hands: where we are root and it is Linux.

Each node runs in a network namespace with an address of its own; a namespace between them is their router,
and clients call from addresses of the machine's own, one for each place. What passes through the router is
packets, so that a cut is what a cut is: they are gone, nobody is told, and it is for TCP and for those who
use it to find out. (The relays of `network.py` begin where TCP ends, and pass everything on in the end.)

    cut     the router has a rule that throws away what comes from one address and goes to another
    loss    for that share of the time a direction is cut, for some hundredths of a second at once
    delay   not here: it needs a queue (netem) that not every kernel has; the relays can do it

Names and addresses are drawn, so that two runs do not meet. Everything made here goes with `close`; if we
are killed before that, `ip netns delete` takes away each of the namespaces whose names begin with `torture-`.
"""
from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agreed.torture.network import Direction, Rule
from agreed.torture.processes import NotServing

COMMAND_WITHIN_S: Final = 20.0

LOST_AT_ONCE_S: Final = (0.02, 0.08)
"""How long packets are lost for, whenever they are: shorter than what takes TCP to send them again."""

SECOND_BYTES: Final = range(64, 128)
"""Of the addresses, 10.x.y.z: a machine that uses one of these itself should not run this."""

ROUTER: Final = "router"
TO_CLIENTS: Final = 0
"""In the place of a node's number: the link on which the clients are."""

MISSING: Final = {"delay": "a network of namespaces cannot delay here; the relays can (`--network relays`)"}


def why_not() -> str | None:
    """None: namespaces can be made here, as far as can be seen beforehand."""
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "only root can make network namespaces"
    for program in ("ip", "nsenter"):
        if shutil.which(program) is None:
            return f"network namespaces need the program `{program}` (iproute2, util-linux)"
    return None


class Namespaces:
    """Implements `network.Links`.  `names`: of the nodes; `places`: from where clients call."""

    relayed = False
    missing: Mapping[str, str] = MISSING

    def __init__(self, names: Sequence[str], places: Sequence[str], dice: random.Random) -> None:
        self._dice = dice
        self._token = secrets.token_hex(3)
        self._net = f"10.{secrets.choice(SECOND_BYTES)}"
        self._numbers = {name: number for number, name in enumerate(names, start=1)}
        self._addresses = {name: f"{self._net}.{number}.2" for name, number in self._numbers.items()}
        # The first address of the machine itself is that of operators, who are never cut off.
        self._addresses |= {place: f"{self._net}.0.{number}" for number, place in enumerate(places, start=3)}
        self._rules: list[Rule] = []
        self._cuts: Counter[Direction] = Counter()
        self._losing: dict[Rule, asyncio.Task[None]] = {}
        self._router: subprocess.Popen[str] | None = None

    def host(self, name: str) -> str:
        return self._addresses[name]

    def source(self, place: str) -> str | None:
        return self._addresses[place]

    def inside(self, name: str, command: Sequence[str]) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._space(name)}", *command]

    def _space(self, name: str) -> str:
        return f"torture-{self._token}-{name}"

    @property
    def _outer(self) -> str:
        """The end of the clients' link, on the machine itself."""
        return f"torture{self._token}"

    # --- making and taking away ----------------------------------------------------------------------------

    async def open(self) -> None:
        """Raises `NotServing` where this cannot be done."""
        reason = why_not()
        if reason is not None:
            raise NotServing(reason)
        try:
            self._make()
        except BaseException:
            await self.close()
            raise
        self._router = subprocess.Popen(
            ["ip", "-n", self._space(ROUTER), "-force", "-batch", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _make(self) -> None:
        router, net = self._space(ROUTER), self._net
        _run(["ip", "netns", "add", router])
        forwarding = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        _run(["nsenter", f"--net=/run/netns/{router}", "sh", "-c", forwarding])
        for name, number in self._numbers.items():
            space = self._space(name)
            _run(["ip", "netns", "add", space])
            _run(["ip", "link", "add", f"r{number}", "netns", router, "type", "veth", "peer", "eth0",
                  "netns", space])  # fmt: skip
            _batch(space, [
                "link set lo up",
                f"address add {self._addresses[name]}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {net}.{number}.1",
            ])  # fmt: skip
        _run(["ip", "link", "add", f"r{TO_CLIENTS}", "netns", router, "type", "veth", "peer", self._outer])
        links = (TO_CLIENTS, *self._numbers.values())
        _batch(router, [
            line
            for number in links
            for line in (f"address add {net}.{number}.1/24 dev r{number}", f"link set r{number} up")
        ])  # fmt: skip
        here = [f"{net}.0.2", *(at for name, at in self._addresses.items() if name not in self._numbers)]
        _batch(None, [
            *(f"address add {address}/24 dev {self._outer}" for address in here),
            f"link set {self._outer} up",
            *(f"route add {net}.{number}.0/24 via {net}.0.1" for number in self._numbers.values()),
        ])  # fmt: skip

    async def close(self) -> None:
        """Processes inside must have ended before."""
        for task in self._losing.values():
            task.cancel()
        await asyncio.gather(*self._losing.values(), return_exceptions=True)
        self._losing.clear()
        if self._router is not None:
            with contextlib.suppress(BrokenPipeError):
                self._router.communicate(timeout=COMMAND_WITHIN_S)
            self._router = None
        with contextlib.suppress(NotServing):
            _run(["ip", "link", "delete", self._outer])
        for name in (*self._numbers, ROUTER):
            with contextlib.suppress(NotServing):
                _run(["ip", "netns", "delete", self._space(name)])

    # --- rules ---------------------------------------------------------------------------------------------

    def add(self, rule: Rule) -> None:
        self._rules.append(rule)
        if rule.cut:
            self._cut(rule.directions)
        if rule.loss:
            self._losing[rule] = asyncio.ensure_future(self._lose(rule))

    def remove(self, rule: Rule) -> None:
        """No error if it is gone already."""
        if rule not in self._rules:
            return
        self._rules.remove(rule)
        if rule.cut:
            self._mend(rule.directions)
        if rule in self._losing:
            self._losing.pop(rule).cancel()

    async def _lose(self, rule: Rule) -> None:
        """Each direction for its share of the time, and not all of them together."""
        directions = sorted(rule.directions)
        while True:
            some = self._dice.sample(directions, max(1, len(directions) // 4))
            lasts_s = self._dice.uniform(*LOST_AT_ONCE_S)
            self._cut(some)
            try:
                await asyncio.sleep(lasts_s)
            finally:
                self._mend(some)
            # In a turn of this length each direction is cut with the chance of being among `some`.
            turn_s = lasts_s / rule.loss * len(some) / len(directions)
            await asyncio.sleep(max(0.0, turn_s - lasts_s))

    def _cut(self, directions: Iterable[Direction]) -> None:
        for direction in directions:
            self._cuts[direction] += 1
            if self._cuts[direction] == 1:
                self._tell("add", direction)

    def _mend(self, directions: Iterable[Direction]) -> None:
        for direction in directions:
            self._cuts[direction] -= 1
            if self._cuts[direction] == 0:
                self._tell("del", direction)

    def _tell(self, verb: str, direction: Direction) -> None:
        speaks, hears = (self._addresses[name] for name in direction)
        if self._router is not None and self._router.stdin is not None:
            self._router.stdin.write(f"rule {verb} from {speaks} to {hears} blackhole\n")
            self._router.stdin.flush()


def _batch(space: str | None, lines: Sequence[str]) -> None:
    """All in one process: `space` None is where we are ourselves."""
    where = [] if space is None else ["-n", space]
    _run(["ip", *where, "-batch", "-"], "\n".join(lines) + "\n")


def _run(command: Sequence[str], told: str = "") -> None:
    ended = subprocess.run(
        list(command), input=told, capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False
    )
    if ended.returncode:
        raise NotServing(f"{' '.join(command)}: {ended.stderr.strip() or ended.returncode}")
