"""Three nodes of one system, each in its own directory, from the first start until they are gone."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType

from agreed.torture.processes import free_ports
from bench.four_letter import ServerState, ask_state
from bench.generator import CannotMeasure
from bench.processes import MeasuredProcess, Usage
from bench.systems import NODES, NodePorts, System

START_PATIENCE_S = 60.0


class Cluster:
    """A context manager: inside, three nodes serve; after it they are ended and their directory is gone."""

    def __init__(self, system: System, keep_below: Path | None = None) -> None:
        self.system = system
        self.root = Path(tempfile.mkdtemp(prefix=f"bench-{system.name}-", dir=keep_below))
        self.ports = [NodePorts(*free_ports(3)) for _ in range(NODES)]
        self.processes: list[MeasuredProcess] = []

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def directories(self) -> list[Path]:
        return [self.root / f"n{number + 1}" for number in range(NODES)]

    def start(self, patience_s: float = START_PATIENCE_S) -> float:
        """Starts all nodes (again); returns the seconds until all of them served."""
        began = time.monotonic()
        for number, directory in enumerate(self.directories):
            directory.mkdir(exist_ok=True)
            command = self.system.command(number, self.ports, directory)
            log = directory / "output.log"
            self.processes.append(MeasuredProcess(command, output=log, directory=directory))
        self.wait_until_serving(patience_s)
        return time.monotonic() - began

    def stop(self) -> None:
        """All nodes at once, their data kept."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.end()
        self.processes.clear()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def wait_until_serving(self, patience_s: float) -> None:
        """One leader, the rest followers.  Raises CannotMeasure with the last words of the node that is
        not."""
        deadline = time.monotonic() + patience_s
        modes: list[str] = []
        while time.monotonic() < deadline:
            for process in self.processes:
                if not process.running:
                    raise CannotMeasure(f"a node of {self.system.name} ended:\n{process.last_words()}")
            modes = [state.mode if state else "silent" for state in self.states()]
            if sorted(modes) == ["follower"] * (NODES - 1) + ["leader"]:
                return
            time.sleep(0.05)
        words = "\n\n".join(process.last_words() for process in self.processes)
        raise CannotMeasure(f"{self.system.name} did not serve in {patience_s:.0f} s ({modes}):\n{words}")

    def states(self) -> list[ServerState | None]:
        return [ask_state(ports.client) for ports in self.ports]

    def leader(self) -> int:
        """The number of the node that leads, from 0.  Raises CannotMeasure where there is none."""
        for _ in range(100):
            for number, state in enumerate(self.states()):
                if state is not None and state.mode == "leader":
                    return number
            time.sleep(0.05)
        raise CannotMeasure(f"{self.system.name} has no leader")

    def term(self) -> int:
        """Of the leader; it grows with every election.  Raises CannotMeasure where there is no leader."""
        return self.system.term(self.ports[self.leader()])

    def addresses(self, number: int | None = None) -> list[str]:
        """Of one node, or of all: the leader first, so that odd connections fall to it in both systems."""
        if number is not None:
            return [f"127.0.0.1:{self.ports[number].client}"]
        first = self.leader()
        order = [(first + step) % NODES for step in range(NODES)]
        return [f"127.0.0.1:{self.ports[number].client}" for number in order]

    def usage(self) -> list[Usage]:
        """Raises CannotMeasure if a node is gone."""
        try:
            return [process.usage() for process in self.processes]
        except ProcessLookupError:
            dead = next((process for process in self.processes if not process.running), self.processes[0])
            raise CannotMeasure(f"a node of {self.system.name} ended:\n{dead.last_words()}") from None
