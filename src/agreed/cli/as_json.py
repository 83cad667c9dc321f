"""Structs as JSON for programs: objects with the names of their fields.

On the wire between nodes, and on disk, the same structs are bare arrays; whoever reads the output of a
command should not have to count.
"""
from __future__ import annotations

import msgspec


def as_json(value: object) -> str:
    """Indented JSON of structs, lists, and what JSON knows."""
    return msgspec.json.format(msgspec.json.encode(_named(value)), indent=2).decode()


def _named(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return {field: _named(getattr(value, field)) for field in value.__struct_fields__}
    return [_named(each) for each in value] if isinstance(value, list | tuple) else value
