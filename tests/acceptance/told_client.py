"""A client program in another language that takes one command a line and answers up to a line with a dot."""
from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class ToldClient:
    """A running client program; `ask` gives it a command and returns the lines of its answer.

    A context manager: the process is gone at the end of the block, whatever happened.
    """

    def __init__(self, command: Sequence[str], deadline_s: float = 60) -> None:
        self._deadline_s = deadline_s
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def ask(self, command: str) -> list[str]:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer: list[str] = []
        while (line := self._next(command)) != ".":
            answer.append(line.rstrip())
        return answer

    def _next(self, command: str) -> str:
        try:
            line = self._lines.get(timeout=self._deadline_s)
        except queue.Empty:
            raise AssertionError(f"no answer to {command!r} within {self._deadline_s:.0f} s") from None
        assert line is not None, f"the client ended instead of answering {command!r}"
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.kill()
        self._process.wait(10)
