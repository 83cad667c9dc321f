"""Writes the synchronous face of the recipes: the package `src/agreed/coordination/synchronous`.

    .venv/bin/python tools/write_synchronous.py            writes it
    .venv/bin/python tools/write_synchronous.py --check    ends with 1 if it is not up to date

One class for each of `CLASSES`, with the same public methods, arguments, documentation and types: what is
awaited there is waited for here.  What runs a piece of the program in between is not written by this, but
stands in `coordination/bodies.py`, from which the class then descends.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from agreed.coordination import client
from agreed.recipes import (
    barrier,
    cached_subtree,
    cell,
    config,
    counter,
    election,
    event,
    grant,
    group,
    ids,
    job,
    kv,
    latch,
    lock,
    log,
    multilock,
    obtaining,
    queue,
    rate_limiter,
    registry,
    semaphore,
    transactions,
)
from agreed.recipes.replicated import replica

PLACE = Path(__file__).parent.parent / "src" / "agreed" / "coordination" / "synchronous"


class Face(NamedTuple):
    """`base` is what it descends from; `leave` is not written, nor what the face of `inherits` has.

    `ancestor`: the name of a face that only others descend from, and which is `about` this type of theirs."""

    of: type
    base: str
    leave: frozenset[str] = frozenset()
    inherits: type | None = None
    ancestor: str = ""
    about: str = ""

    @property
    def name(self) -> str:
        return self.ancestor or self.of.__name__

    @property
    def module(self) -> str:
        return self.of.__module__.rpartition(".")[2]

    @property
    def parameters(self) -> str:
        """Of a generic class, as they are written behind its name."""
        names = [each.__name__ for each in getattr(self.of, "__parameters__", ())]
        return f"[{', '.join(names)}]" if names else ""

    @property
    def asynchronous(self) -> str:
        return f"{self.module}.{self.of.__name__}"

    @property
    def head(self) -> str:
        if self.ancestor:
            bound = self.asynchronous + ("[Any]" if self.parameters else "")
            variable = f"{self.about} = TypeVar({self.about!r}, bound={bound})"
            return f"{variable}\n\n\nclass {self.name}({self.base}):\n"
        ancestors = self.base.format(self.asynchronous + self.parameters)
        return f"class {self.name}({ancestors}{', Generic' if self.parameters else ''}{self.parameters}):\n"


GRANT = frozenset({"on_lost", "taken_again", "lose", "session"})
OBTAINED = frozenset({"hold", "granted", "loss"})

CLASSES = (
    Face(grant.Grant, "EndOfBody[AnyGrant]", GRANT, ancestor="Held", about="AnyGrant"),
    Face(grant.Grant, "Held[{}]", inherits=grant.Grant),
    Face(
        obtaining.Obtainable,
        "Bodies[AnyObtainable, Granted]",
        OBTAINED,
        ancestor="Obtained",
        about="AnyObtainable",
    ),
    Face(lock.Lock, "Obtained[{}, Grant]", inherits=obtaining.Obtainable),
    Face(lock.ReadOrWriteLock, "Obtained[{}, Grant]", inherits=obtaining.Obtainable),
    Face(lock.ReadWriteLock, "OnTheLoop[{}]"),
    Face(semaphore.Semaphore, "Obtained[{}, Grant]", inherits=obtaining.Obtainable),
    Face(election.Term, "Held[{}]", inherits=grant.Grant),
    Face(
        election.Election,
        "Leading[{0}, Term], Obtained[{0}, Term]",
        frozenset({"lead", "run"}),
        obtaining.Obtainable,
    ),
    Face(multilock.MultiGrant, "EndOfBody[{}]", GRANT),
    Face(multilock.MultiLock, "Bodies[{}, MultiGrant]", OBTAINED),
    Face(job.Job, "Working[{0}], Held[{0}]", frozenset({"end"}), grant.Grant),
    Face(queue.Queue, "Taking[{}, Job[Value]]"),
    Face(log.Log, "OnTheLoop[{}]"),
    Face(kv.KeyValues, "OnTheLoop[{}]"),
    Face(transactions.Transaction, "Within[{}]"),
    Face(counter.Counter, "OnTheLoop[{}]"),
    Face(ids.IdGenerator, "OnTheLoop[{}]"),
    Face(event.Event, "OnTheLoop[{}]"),
    Face(latch.Latch, "OnTheLoop[{}]"),
    Face(cell.Cell, "Updating[{}, Value]", frozenset({"update"})),
    Face(config.Config, "Surrounding[{}]", frozenset({"on_change"})),
    Face(
        cached_subtree.CachedSubtree,
        "FollowedSubtree[{}]",
        frozenset({"view", "get", "keys", "list", "names", "stale_for"}),
    ),
    Face(rate_limiter.RateLimiter, "OnTheLoop[{}]"),
    Face(group.Membership, "Held[{}]", inherits=grant.Grant),
    Face(group.Joining, "Obtained[{}, Membership]", inherits=obtaining.Obtainable),
    Face(group.Group, "Assigning[{}]", frozenset({"assign"})),
    Face(registry.Registration, "Held[{}]", frozenset({"begin"}), grant.Grant),
    Face(registry.Registering, "Obtained[{}, Registration]", inherits=obtaining.Obtainable),
    Face(registry.Registry, "Registers[{}]", frozenset({"register"})),
    Face(barrier.Barrier, "OnTheLoop[{}]", frozenset({"backend", "pass_through", "state", "put", "tidy"})),
    Face(barrier.DoubleBarrier, "GoingInAndOut[{}]"),
    Face(replica.Replica, "Replicating[{}, Object]", frozenset({"call", "local"})),
    Face(client.Client, "Transacting[{}]", frozenset({"backend", "transact", "transactional"})),
)

IMPORTED = {
    "AgreedError": "agreed.errors",
    "Any": "typing",
    "Assigning": "agreed.coordination.together",
    "Bodies": "agreed.coordination.bodies",
    "Capabilities": "agreed.backends.contract",
    "Change": "agreed.backends.contract",
    "EndOfBody": "agreed.coordination.bodies",
    "Entries": "agreed.recipes.kv",
    "Entry": "agreed.backends.contract",
    "FollowedSubtree": "agreed.coordination.together",
    "Following": "agreed.coordination.bodies",
    "Generic": "typing",
    "Granted": "agreed.coordination.bodies",
    "GoingInAndOut": "agreed.coordination.together",
    "Guard": "agreed.backends.contract",
    "Holder": "agreed.recipes.obtaining",
    "Instance": "agreed.recipes.registry",
    "Iterable": "collections.abc",
    "Layout": "agreed.backends.contract",
    "Leading": "agreed.coordination.bodies",
    "Lost": "agreed.recipes.errors",
    "Mapping": "collections.abc",
    "Member": "agreed.recipes.group",
    "Names": "agreed.recipes.kv",
    "Object": "agreed.recipes.replicated.schema",
    "OnTheLoop": "agreed.coordination.on_the_loop",
    "Record": "agreed.recipes.log",
    "Passage": "agreed.coordination.together",
    "Replicating": "agreed.coordination.replicating",
    "Registers": "agreed.coordination.together",
    "Self": "typing",
    "Sequence": "collections.abc",
    "SubtreeChange": "agreed.recipes.cached_subtree",
    "Stands": "agreed.backends.contract",
    "Stream": "agreed.coordination.bodies",
    "Surrounding": "agreed.coordination.together",
    "Taking": "agreed.coordination.bodies",
    "TracebackType": "types",
    "TypeVar": "typing",
    "Transacting": "agreed.coordination.transacting",
    "Updating": "agreed.coordination.together",
    "Value": "agreed.recipes.codec",
    "Versioned": "agreed.recipes.cell",
    "Watching": "agreed.coordination.bodies",
    "Within": "agreed.coordination.transacting",
    "Working": "agreed.coordination.bodies",
    "cast": "typing",
    "shared": "agreed.client.loop_thread",
}
"""Name -> where it comes from; and those that are written here."""

HEAD = '''"""The synchronous face of `{module}`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

{imports}
'''

CONNECT = '''

def connect(
{parameters}
) -> Client:
    {documentation}
    return Client(shared().run(client.connect({arguments})))
'''

CLOSING = '''
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
'''


def translated(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def documentation(function: Any, indent: str) -> str:
    text = inspect.getdoc(function)
    if not text:
        return ""
    body = textwrap.indent(text, indent).strip()
    return f'{indent}"""{body}"""\n'


def parameters(function: Any) -> tuple[str, str]:
    """As they are declared, and as they are handed on."""
    declared, handed, named = [], [], False
    for parameter in list(inspect.signature(function).parameters.values()):
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not named:
            declared.append("*")
            named = True
        default = "" if parameter.default is parameter.empty else f" = {source_of(parameter.default)}"
        declared.append(f"{parameter.name}: {translated(parameter.annotation)}{default}")
        handed.append(f"{parameter.name}={parameter.name}" if named else parameter.name)
    return ", ".join(declared), ", ".join(handed)


def source_of(value: Any) -> str:
    return str(value) if type(value).__module__.startswith("agreed.") else repr(value)


def attributes(kind: type) -> dict[str, str]:
    """What `__init__` keeps of its arguments under a public name."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if "__init__" not in vars(each) or not each.__module__.startswith("agreed."):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(each.__init__)))
        declared = inspect.signature(each.__init__).parameters
        for node in ast.walk(tree):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Name):
                continue
            target = node.targets[0]
            public = isinstance(target, ast.Attribute) and not target.attr.startswith("_")
            if public and node.value.id in declared:
                found[target.attr] = str(declared[node.value.id].annotation)
    return found


def written(face: Face) -> str:
    lines = [face.head, documentation(face.of, "    ")]
    inherited = set() if face.inherits is None else {*dir(face.inherits), *attributes(face.inherits)}
    leave = face.leave | inherited
    for name, annotation in attributes(face.of).items():
        if name not in leave:
            lines.append(property_of(name, translated(annotation), ""))
    for name, member in sorted(
        inspect.getmembers(face.of), key=lambda each: position(face.of, each[0])
    ):
        if name.startswith("_") or name in leave:
            continue
        if isinstance(member, property):
            told = documentation(member.fget, "        ")
            kind = translated(inspect.signature(member.fget).return_annotation)
            lines.append(property_of(name, kind, told))
        elif inspect.isfunction(member):
            lines.append(method(name, member))
    if face.of is client.Client:
        lines.append(CLOSING)
    if not face.ancestor:
        lines.append(f"\n\nOnTheLoop.FACES[{face.asynchronous}] = {face.name}\n")
    return "".join(lines)


def position(kind: type, name: str) -> tuple[int, int]:
    """In the order in which they are written, those of the ancestors first."""
    for depth, each in enumerate(reversed(kind.__mro__)):
        if name in vars(each):
            return depth, list(vars(each)).index(name)
    return 0, 0


def property_of(name: str, kind: str, told: str) -> str:
    head = f"\n    @property\n    def {name}(self) -> {kind}:\n"
    if kind in {face.name for face in CLASSES}:
        return f'{head}{told}        return cast("{kind}", self._synchronous(self.asynchronous.{name}))\n'
    return f"{head}{told}        return self.asynchronous.{name}\n"


def method(name: str, function: Any) -> str:
    declared, handed = parameters(function)
    kind = translated(inspect.signature(function).return_annotation)
    head = f"\n    def {name}(self{', ' if declared else ''}{declared}) -> {kind}:\n"
    if inspect.iscoroutinefunction(function):
        work = f"self._wait_for(self.asynchronous.{name}({handed}))"
    else:
        work = f"self._call(self.asynchronous.{name}{', ' if handed else ''}{handed})"
    if kind == "None":
        return f"{head}{documentation(function, '        ')}        {work}\n"
    return f"{head}{documentation(function, '        ')}        return cast({kind!r}, {work})\n"


def module(of: str) -> str:
    """The text of the synchronous face of one module."""
    faces = [face for face in CLASSES if face.of.__module__ == of]
    body = "\n\n".join(map(written, faces))
    if of == client.__name__:
        declared, handed = parameters(client.connect)
        told = documentation(client.connect, "    ").strip()
        body += CONNECT.format(parameters="    " + declared, documentation=told, arguments=handed)
    package, _, name = of.rpartition(".")
    imports = [f"from {package} import {name}"]
    if "tls." in body:
        imports.append("import ssl as tls")
    known = IMPORTED | {
        face.name: f"agreed.coordination.synchronous.{face.module}" for face in CLASSES if face not in faces
    }
    for each, place in known.items():
        if re.search(rf"(?<![\w.`]){each}(?![\w`])", body):
            imports.append(f"from {place} import {each}")
    return HEAD.format(module=of, imports="\n".join(imports)) + body


PACKAGE = '''"""The synchronous face of recipes and client; written by `tools/write_synchronous.py`."""

from __future__ import annotations

from agreed.coordination.synchronous.client import Client, connect

__all__ = ["Client", "connect"]
'''


def formatted(text: str, path: Path) -> str:
    ruff = [str(Path(sys.executable).parent / "ruff")]
    for command in (["check", "--fix", "--quiet", "--select", "I,F401"], ["format"]):
        ours = ["--config", 'lint.isort.known-first-party=["agreed"]']
        arguments = [*ruff, *command, *ours, "--stdin-filename", str(path), "-"]
        text = subprocess.run(arguments, input=text, capture_output=True, text=True, check=True).stdout
    return text


def texts() -> dict[Path, str]:
    written = {PLACE / f"{face.module}.py": module(face.of.__module__) for face in CLASSES}
    written[PLACE / "__init__.py"] = PACKAGE
    return written


def said(text: str) -> list[str]:
    """What a file says, however it is laid out, and in whichever order it imports."""
    return [
        ast.dump(node)
        for node in ast.parse(text).body
        if not isinstance(node, ast.Import | ast.ImportFrom)
    ]


def main() -> int:
    written = texts()
    there = set(PLACE.glob("*.py"))
    if "--check" in sys.argv:  # also where there is no formatter
        same = there == written.keys() and all(
            said(path.read_text(encoding="utf-8")) == said(text) for path, text in written.items()
        )
        return 0 if same else 1
    PLACE.mkdir(exist_ok=True)
    for path in there - written.keys():
        path.unlink()
    for path, text in written.items():
        path.write_text(formatted(text, path), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
