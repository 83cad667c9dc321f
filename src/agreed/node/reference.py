"""The knobs as the documentation shows them, drawn from their declarations in `config.py`.

`tools/write_reference.py` puts the table into README.md; `agreed serve --help` takes its words for defaults.
"""
from __future__ import annotations

from dataclasses import fields

from agreed.node.config import Config


def describe_default(name: str, default: object) -> str:
    """A default in the words in which one would write it."""
    if name == "four_letter_words":
        return "`*`"
    if default is None or default in ({}, ()):
        return "none"
    if isinstance(default, bool):
        return "`on`" if default else "`off`"
    if isinstance(default, tuple):
        return f"`{'-'.join(map(str, default))}`"
    return f"`{default}`"


def reference() -> str:
    """The knobs as a table in Markdown, in the order of their declaration."""
    lines = ["| knob | unit | default | what for |", "| --- | --- | --- | --- |"]
    plain = Config()
    for each in fields(Config):
        default = describe_default(each.name, getattr(plain, each.name))
        lines.append(f"| `{each.name}` | {each.metadata['unit']} | {default} | {each.metadata['reason']} |")
    return "\n".join(lines) + "\n"
