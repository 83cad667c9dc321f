"""What a node tells of itself: one line per happening on standard error, for people or for collectors.

    set_up("info", "text", "n1")
    log = telemetry.log("node.dial")
    log.info("connected", peer="n2", address="127.0.0.1:7422")

    2026-01-05T10:11:12.345Z info n1 node.dial connected peer=n2 address=127.0.0.1:7422
    {"time": "2026-01-05T10:11:12.345Z", "level": "info", "node": "n1", "from": "node.dial", ...}

A line is a fixed sentence, by which one can search, and fields, by which one can filter.  Each happening
takes one line whatever its fields hold: text from outside is quoted, so that a client cannot write lines of
its own.  No secrets: fields with such names are blanked here, whoever writes them; still, do not pass them.

Standard error is written synchronously: whoever logs per request stalls the node for a slow terminal.  So
requests are not logged, changes of state are.
"""
from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

SECRETS = frozenset({"password", "passwd", "secret", "token", "super_digest", "credential", "credentials"})
"""Names of fields that are never written out."""

_ROOT = "agreed"

_LOGGERS = (_ROOT, "asyncio")
"""The event loop's logger tells of exceptions in callbacks, which belong to our lines too."""


class Log:
    """Writes happenings of one part of the package, with fields."""

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{part}")

    def debug(self, sentence: str, **details: object) -> None:
        self._write(logging.DEBUG, sentence, details)

    def info(self, sentence: str, **details: object) -> None:
        self._write(logging.INFO, sentence, details)

    def warning(self, sentence: str, **details: object) -> None:
        self._write(logging.WARNING, sentence, details)

    def error(self, sentence: str, **details: object) -> None:
        self._write(logging.ERROR, sentence, details)

    def exception(self, sentence: str, **details: object) -> None:
        """An error with the traceback of the exception that is being handled: a bug of ours, not a mishap."""
        self._logger.error("%s", sentence, exc_info=True, extra={"details": details})

    def _write(self, level: int, sentence: str, details: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", sentence, extra={"details": details})


def log(part: str) -> Log:
    """The log of a part of the package, say "node.dial"."""
    return Log(part)


def set_up(level: str, form: str, node: str, stream: TextIO | None = None) -> None:
    """Send the log of the package and of its event loop to `stream` (default: standard error).

    `level` is debug, info, warning or error; `form` is text or json.  Calling it again replaces what was
    set up before."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_Json(node) if form == "json" else _Text(node))
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _part(record: logging.LogRecord) -> str:
    return record.name.removeprefix(f"{_ROOT}.")


def _details(record: logging.LogRecord) -> dict[str, object]:
    details: dict[str, object] = getattr(record, "details", {})
    return {key: "(secret)" if key in SECRETS else value for key, value in details.items()}


def _quoted(value: object) -> str:
    """A word as it is; anything else as a JSON string, which has no line ends and no control characters."""
    text = str(value)
    if text and text.isascii() and text.isprintable() and not any(sign in text for sign in ' "=\\'):
        return text
    return json.dumps(text)


class _Text(logging.Formatter):
    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        sentence = record.getMessage()
        words = [_moment(record), record.levelname.lower(), self._node, _part(record)]
        words.append(sentence if sentence.isprintable() else json.dumps(sentence))
        words += [f"{key}={_quoted(value)}" for key, value in _details(record).items()]
        line = " ".join(words)
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class _Json(logging.Formatter):
    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "node": self._node,
            "from": _part(record),
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in _details(record).items() if key not in line}
        if record.exc_info is not None:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
