"""The processes of the bank that its faults break, beside the databases."""
from __future__ import annotations

import contextlib
import signal
import sys
import time
from pathlib import Path

import msgspec

from agreed.torture.processes import ServerProcess
from tests.acceptance.cluster import Node
from tests.transactions.bank_client import ClientPlan, Told

ROOT = Path(__file__).resolve().parent.parent.parent


class ClientProcess:
    """One client, which is the coordinator of what it does: killed, started again, ended; and what it was
    told."""

    def __init__(self, plan: ClientPlan, directory: Path) -> None:
        self.plan = plan
        self._directory = directory
        self._process: ServerProcess | None = None
        self._lives = 0
        self._read = 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self) -> None:
        self._lives += 1
        plan = msgspec.structs.replace(self.plan, seed=self.plan.seed + 1000 * self._lives)
        file = self._directory / f"{self.plan.name}.json"
        file.write_bytes(msgspec.json.encode(plan))
        command = [sys.executable, "-X", "faulthandler", "-m", "tests.transactions.bank_client", str(file)]
        log = self._directory / f"{self.plan.name}.log"
        self._process = ServerProcess(command, output=log, directory=ROOT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def pause(self) -> None:
        if self._process is not None and self.running:
            self._process.pause()

    def resume(self) -> None:
        if self._process is not None and self.running:
            self._process.resume()

    def ask_to_end(self) -> None:
        if self._process is not None:
            self._process.terminate()

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode if self._process is not None else None

    def last_words(self) -> str:
        return self._process.last_words(60) if self._process is not None else ""

    def where(self) -> str:
        """At which line each of its threads is."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(0.5)  # it writes them down; where it does not, its last words are older ones
        return self.last_words()

    def told(self) -> list[Told]:
        """What it was told since the last time."""
        with contextlib.suppress(FileNotFoundError), open(self.plan.told, "rb") as file:
            file.seek(self._read)
            *lines, _ = file.read().split(b"\n")
            self._read += sum(len(line) + 1 for line in lines)
            return [msgspec.json.decode(line, type=Told) for line in lines]
        return []


def freeze(node: Node) -> None:
    if node.running:
        node.freeze()


def thaw(node: Node) -> None:
    if node.running:
        node.thaw()
