"""Curator's locks and elections in a process of Java, which is told what to do (`CuratorClient.java`)."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from agreed.torture.systems.zookeeper import JAVA_LIBRARIES, class_path
from tests.acceptance.told_client import ToldClient
from tests.acceptance.zkcli import java_options

SOURCE = Path(__file__).with_name("CuratorClient.java")

NO_CURATOR = "no Curator (Debian package `libcurator-recipes-java`): run tools/peers.sh"
NO_COMPILER = "there is no Java compiler (Debian package default-jdk-headless)"

JARS = ("curator-recipes", "curator-framework", "curator-client", "guava")


def curator_class_path() -> str | None:
    """None where it, or ZooKeeper, is not installed."""
    zookeeper = class_path()
    jars = [JAVA_LIBRARIES / f"{name}.jar" for name in JARS]
    if zookeeper is None or not all(jar.exists() for jar in jars):
        return None
    return ":".join([zookeeper, *map(str, jars)])


def why_missing() -> str | None:
    if curator_class_path() is None:
        return NO_CURATOR
    return None if shutil.which("javac") else NO_COMPILER


class Curator:
    """One process for all servers: to start it takes longer than all that it is told."""

    def __init__(self, directory: Path) -> None:
        libraries = curator_class_path()
        assert libraries is not None, NO_CURATOR
        subprocess.run(
            ["javac", "-cp", libraries, "-d", str(directory), str(SOURCE)], check=True, timeout=120
        )
        self._told = ToldClient(
            ["java", *java_options(directory), "-cp", f"{directory}:{libraries}", "CuratorClient"]
        )
        self._servers: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def ask(self, command: str) -> str:
        [answer] = self._told.ask(command)
        return answer

    def make(self, address: str, kind: str, path: str) -> Wanted:
        if address not in self._servers:
            server = self._servers[address] = f"server{len(self._servers)}"
            assert self.ask(f"connect {server} {address}") == "yes"
        wanted = Wanted(self, f"wanted{next(self._numbers)}")
        assert self.ask(f"make {wanted.name} {self._servers[address]} {kind} {path}") == "made"
        return wanted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._told.__exit__(kind, problem, trace)


class Wanted:
    """A lock or an election of Curator's, by the name under which the process knows it."""

    def __init__(self, curator: Curator, name: str) -> None:
        self.name = name
        self._curator = curator

    def ask(self) -> None:
        self._do("ask", "asked")

    def tries(self) -> bool:
        return self._says("tries")

    def has(self) -> bool:
        return self._says("has")

    def obtained(self) -> bool:
        return self._says("obtained")

    def leader(self) -> bytes:
        return self._curator.ask(f"leader {self.name}").encode()

    def release(self) -> None:
        self._do("release", "released")

    def add(self, path: str, rounds: int) -> None:
        """Returns when all of it is done."""
        assert self._curator.ask(f"add {self.name} {path} {rounds}") == "adding"
        self._do("added", "added")

    def _do(self, command: str, wanted: str) -> None:
        answer = self._curator.ask(f"{command} {self.name}")
        assert answer == wanted, answer

    def _says(self, command: str) -> bool:
        answer = self._curator.ask(f"{command} {self.name}")
        assert answer in ("yes", "no"), answer
        return answer == "yes"
