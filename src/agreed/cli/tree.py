"""`agreed tree NAME`: all that stands below a name, as a tree; and what becomes of it.

    agreed tree config                      names alone; those that only have others below them as well
    agreed tree config --values --depth 2   what is deeper is counted
    agreed tree config --json               a list of keys, as `agreed kv list --json`
    agreed tree config --follow             the tree, then a line for each key that becomes another or goes

What is told by `--follow` is the difference between two states, not each change: `agreed watch --every` does
that, where the service can.  A line `gap` says that the service could not be reached for a while; what
follows it is the difference all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click
import msgspec

from agreed.backends.contract import Entry, EventKind
from agreed.cli.as_json import as_json
from agreed.cli.exits import REFUSED
from agreed.cli.kv import line, row
from agreed.cli.service import Service, Signals, play, with_service
from agreed.cli.watch import Told, put, say
from agreed.recipes.cached_subtree import KEYS_MOST, CachedSubtree, SubtreeChange, View


class Name(msgspec.Struct, frozen=True):
    """A key for programs, without what stands there."""

    key: str
    version: int
    session: str


BRANCH, LAST_BRANCH, TRUNK, NOTHING = "├── ", "└── ", "│   ", "    "


def drawn(view: View, depth: int | None, values: bool) -> Iterator[str]:
    """A line for the name itself, and one for each below it."""
    yield _leaf(view.name or ".", view.get(""), values)
    yield from _below(view, "", "", depth, values)


def _below(view: View, directory: str, indent: str, depth: int | None, values: bool) -> Iterator[str]:
    names = view.names(directory)
    if depth == 0:
        if names:
            yield f"{indent}{LAST_BRANCH}({len(names)} more)"
        return
    for number, name in enumerate(names, 1):
        key = f"{directory}/{name}" if directory else name
        is_last = number == len(names)
        yield f"{indent}{LAST_BRANCH if is_last else BRANCH}{_leaf(name, view.get(key), values)}"
        deeper = None if depth is None else depth - 1
        yield from _below(view, key, indent + (NOTHING if is_last else TRUNK), deeper, values)


def _leaf(name: str, entry: Entry | None, values: bool) -> str:
    if entry is None:
        return _printable(name)
    told = line(entry)
    words = [_printable(name)]
    if values and told.value:
        words.append(_printable(told.value))
    if told.session:
        words.append(f"(session {told.session})")
    return "  ".join(words)


def _printable(text: str) -> str:
    """On one line, and without what would tell a terminal something."""
    return text if text.isprintable() else repr(text)


def is_shown(entry: Entry, name: str, depth: int | None) -> bool:
    below = entry.key[len(name) :].strip("/")
    return depth is None or not below or below.count("/") < depth


def told(change: SubtreeChange, values: bool) -> list[Told]:
    gone = [Told(EventKind.DELETED.value, entry.key) for entry in change.deleted]
    there = [put(entry) if values else _without_value(entry) for entry in change.put]
    return gone + there


def _without_value(entry: Entry) -> Told:
    return Told(EventKind.PUT.value, entry.key, entry.version)


def rows(entries: Sequence[Entry], values: bool) -> str:
    found = [row(entry) for entry in entries]
    return as_json(found if values else [Name(each.key, each.version, each.session) for each in found])


async def keep_telling(tree: CachedSubtree, depth: int | None, values: bool, in_json: bool) -> None:
    """What was there at first is told as a tree, or in JSON as if all of it had been put now."""
    begun = False
    async with tree.changes() as changes:
        async for change in changes:
            if not begun and not in_json:
                click.echo("\n".join(drawn(View(tree.name, change.revision, change.put), depth, values)))
            if begun and change.resynchronized:
                say(Told(EventKind.GAP.value), in_json)
            shown = SubtreeChange(
                change.revision,
                tuple(entry for entry in change.put if is_shown(entry, tree.name, depth)),
                tuple(entry for entry in change.deleted if is_shown(entry, tree.name, depth)),
                change.resynchronized,
            )
            for each in told(shown, values) if begun or in_json else ():
                say(each, in_json)
            begun = True


@click.command("tree")
@click.argument("name", default="")
@with_service
@click.option("--values", is_flag=True, help="With what stands there.")
@click.option("--depth", type=click.IntRange(min=1), metavar="LEVELS", help="No deeper than so many.")
@click.option("--follow", is_flag=True, help="Then tell what becomes of it, until Ctrl-C.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=KEYS_MOST,
    show_default=True,
    metavar="KEYS",
    help="Refuse to read more than so many.",
)
@click.option("--json", "in_json", is_flag=True, help="For programs; with --follow one object a line.")
def command(
    name: str,
    service: Service,
    values: bool,
    depth: int | None,
    follow: bool,
    most: int,
    in_json: bool,
) -> None:
    """Print what stands at NAME and below it; all that there is without one.

    Ends with 1 if nothing does (unless it is to be followed).
    """

    async def story(signals: Signals) -> int:
        async with service.client() as client, client.subtree(name, most=most) as tree:
            if follow:
                await keep_telling(tree, depth, values, in_json)
                return 0
            view = tree.view
            found = [entry for entry in view.entries.values() if is_shown(entry, name, depth)]
            if in_json:
                click.echo(rows(found, values))
            elif view.entries:
                click.echo("\n".join(drawn(view, depth, values)))
            return 0 if view.entries else REFUSED

    play(story)
