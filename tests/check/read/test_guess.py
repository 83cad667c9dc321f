"""Which of the formats a file is of, seen from its beginning; and what becomes of a file that is of none."""
from __future__ import annotations

import pytest

from agreed.check.read import Format, guess, history
from agreed.errors import MalformedInput

TEXTS = {
    "": Format.JSON_LINES,
    '{"index": 0, "process": 1, "function": "read", "called": 1, "status": "info"}': Format.JSON_LINES,
    '\n{"fault": "kill", "began": 1}': Format.JSON_LINES,
    '{"process": 0, "type": "invoke", "f": "read"}': Format.JEPSEN_JSON,
    '[{"process": 0, "type": "invoke", "f": "read"}]': Format.JEPSEN_JSON,
    "[]": Format.JEPSEN_JSON,
    "{:process 0, :type :invoke, :f :read}": Format.JEPSEN_EDN,
    "[{:process 0, :type :invoke, :f :read}]": Format.JEPSEN_EDN,
    "; a comment\n{:process 0, :type :invoke, :f :read}": Format.JEPSEN_EDN,
    "INFO  jepsen.util - 0\t:invoke\t:read\tnil": Format.PORCUPINE_LOG,
    "a line\nINFO  jepsen.util - 0\t:invoke\t:read\tnil": Format.PORCUPINE_LOG,
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_format_is_seen(text: str) -> None:
    assert guess(text) is TEXTS[text]
    assert len(history(text)) == ("read" in text)


def test_complaints_name_the_file() -> None:
    with pytest.raises(MalformedInput, match=r"run\.edn: line 1: \{ is never closed"):
        history("[{:process 0", "run.edn")
    with pytest.raises(MalformedInput, match=r"^line 1"):
        history("[{:process 0")


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("text", ["\x00\x01", "[[[[", "{}", "7", '"a"', "nil", "{:type :ok}", "\ud800"])
def test_nothing_but_a_complaint_comes_of_nonsense(text: str, format_: Format) -> None:
    try:
        assert len(history(text, "x", format_)) == 0
    except MalformedInput:
        pass
