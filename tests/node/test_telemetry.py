"""One happening is one line, whatever its fields hold, and no line holds a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from agreed.node import telemetry


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("agreed", "asyncio")]
    before = [(each, each.handlers[:], each.propagate, each.level) for each in loggers]
    yield
    for each, handlers, propagate, level in before:
        each.handlers[:], each.propagate = handlers, propagate
        each.setLevel(level)


def lines(form: str, level: str = "info", **details: object) -> list[str]:
    stream = io.StringIO()
    telemetry.set_up(level, form, "n1", stream)
    # Nodes that other tests keep in this process tell of their sessions, and may have done so just now.
    (handler,) = logging.getLogger("agreed").handlers
    handler.addFilter(lambda record: record.name == "agreed.node.dial")
    stream.seek(0)
    stream.truncate()
    telemetry.log("node.dial").info("connected", **details)
    return stream.getvalue().splitlines()


def test_a_line_for_people() -> None:
    (line,) = lines("text", peer="n2", address="127.0.0.1:7422", attempts=3)
    assert line.split(" ", 1)[1] == "info n1 node.dial connected peer=n2 address=127.0.0.1:7422 attempts=3"


def test_a_line_for_collectors() -> None:
    (line,) = lines("json", peer="n2", attempts=3)
    written = json.loads(line)
    assert written.pop("time").endswith("Z")
    assert written == {
        "level": "info",
        "node": "n1",
        "from": "node.dial",
        "message": "connected",
        "peer": "n2",
        "attempts": 3,
    }


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("hostile", ["a\n2026-01-01T00:00:00Z error n1 no", "a\u2028b", "\x1b[31m", 'a" b=c'])
def test_text_from_outside_cannot_write_a_line_of_its_own(form: str, hostile: str) -> None:
    (line,) = lines(form, said=hostile)
    assert line.isprintable()
    quoted = json.loads(line)["said"] if form == "json" else json.loads(line.partition("said=")[2])
    assert quoted == hostile


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("name", sorted(telemetry.SECRETS))
def test_a_secret_is_blanked(form: str, name: str) -> None:
    (line,) = lines(form, **{name: "hunter2"})
    assert "hunter2" not in line
    assert name in line


def test_a_field_cannot_take_the_place_of_the_time_or_the_node() -> None:
    (line,) = lines("json", node="forged", time="forged")
    assert "forged" not in line


def test_what_is_below_the_level_is_not_told() -> None:
    assert lines("text", level="warning") == []


def test_setting_up_twice_does_not_tell_twice() -> None:
    assert len(lines("text")) == 1
    assert len(lines("text")) == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_bug_comes_with_its_traceback(form: str) -> None:
    stream = io.StringIO()
    telemetry.set_up("info", form, "n1", stream)
    try:
        raise LookupError("of the peer")
    except LookupError:
        telemetry.log("node.shell").exception("the turn failed", turn=7)
    assert "LookupError: of the peer" in stream.getvalue()
