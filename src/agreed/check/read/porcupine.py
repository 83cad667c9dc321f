"""The logs of Jepsen's etcd test of 2014 that Porcupine and others carry as test data.

    INFO  jepsen.util - 3	:invoke	:cas	[1 2]
    INFO  jepsen.util - 3	:fail	:cas	[1 2]
    INFO  jepsen.util - 0	:info	:write	:timed-out

A line is an event, as in `jepsen.py`, and other lines are skipped.  There are no times: lines are numbered.
A compare-and-set that failed was refused, because the value was another; a read that timed out failed.

(Porcupine's key-value histories are EDN.)
"""
from __future__ import annotations

import re
from typing import Any

from agreed.check.history import History
from agreed.check.read import edn
from agreed.check.read.jepsen import from_maps
from agreed.errors import MalformedInput

LINE = re.compile(
    r"^INFO\s+jepsen\.util\s+-\s+(\d+|:nemesis)\s+:(invoke|ok|fail|info)\s+:([\w-]+)[ \t]*(.*?)\s*$",
    re.MULTILINE,
)


def read(text: str) -> History:
    """The history of such a log."""
    maps: list[dict[str, Any]] = []
    for process, kind, function, told in LINE.findall(text):
        error = told[1:] if told.startswith(":") else None
        values = [None] if error or not told else edn.values(told)
        if len(values) != 1:
            raise MalformedInput(f"{told!r} is not one value")
        named = process[1:] if process.startswith(":") else int(process)
        maps.append({"process": named, "type": kind, "f": function, "value": values[0], "error": error})
    return from_maps(maps, failures_have_reasons=True)
