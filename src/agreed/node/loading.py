"""Where knobs are set, and which place counts.

    load(flags, environ, file) -> Config

A knob is set by a flag (`--heartbeat-ms 100`), else by an environment variable (`AGREED_HEARTBEAT_MS=100`),
else by a TOML file (`heartbeat_ms = 100`), else it has its default.  A key nobody knows is an error and names
its nearest relatives, in all three places: a misspelt timeout that is silently ignored is found on the day of
the outage.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from agreed.errors import ConfigurationError
from agreed.node.config import Config

ENVIRONMENT_PREFIX = "AGREED_"

FILE_VARIABLE = "AGREED_CONFIG"
"""Names the TOML file, for those who cannot pass a flag; not a knob of its own."""

OF_CLIENTS = ("AGREED_URL", "AGREED_TOKEN", "AGREED_LOCK_NAME")
"""Of programs that use a cluster, and of `agreed lock` and `agreed run` for their commands, which may be
nodes: no knobs, and no misspelt ones."""

_OF_KUBERNETES = re.compile(r"AGREED_(SERVICE_(HOST|PORT(_.+)?)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)")
"""Kubernetes puts such variables into every pod that can see a Service called `agreed`.  They are no
misspelt knobs of ours, and a node must not refuse to start for them."""


def _unknown(key: str, where: str) -> ConfigurationError:
    near = difflib.get_close_matches(key, [each.name for each in fields(Config)], n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return ConfigurationError(f"{where}: no knob is called {key!r}{hint}")


def _read_file(file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: not TOML ({error})") from error


def load(flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None) -> Config:
    """Flag over variable over file over default, checked.

    `flags` are named like the fields of `Config`; those that are None were not given.  Raises
    `ConfigurationError`, which names the knob, where it was set, and what would do."""
    parsers: dict[str, Callable[[object], object]] = {
        each.name: each.metadata["parse"] for each in fields(Config)
    }
    found: dict[str, object] = {}

    def take(key: str, raw: object, where: str) -> None:
        try:
            found[key] = parsers[key](raw)
        except ValueError as error:
            raise ConfigurationError(f"{where}: {error}") from error

    if file is not None:
        for key, raw in _read_file(file).items():
            if key not in parsers:
                raise _unknown(key, str(file))
            take(key, raw, f"{file}: {key}")
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in (FILE_VARIABLE, *OF_CLIENTS):
            continue
        key = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if key in parsers:
            take(key, text, variable)
        elif not _OF_KUBERNETES.fullmatch(variable):
            raise _unknown(key, f"environment, {variable}")
    for key, raw in flags.items():
        if key not in parsers:
            raise _unknown(key, "flags")
        if raw is not None:
            take(key, raw, f"--{key.replace('_', '-')}")
    return Config(**found).check()  # type: ignore[arg-type]
