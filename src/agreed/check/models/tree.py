"""A tree of znodes, as ZooKeeper has it: data and versions, ephemeral and sequential nodes, multi.

| function | argument                                            | result                                |
| -------- | --------------------------------------------------- | ------------------------------------- |
| create   | {path, data, sequential, session}                   | the path that was made                |
| delete   | {path, version}                                     |                                       |
| set      | {path, data, version}                               | {version, ...}                        |
| check    | {path, version}                                     |                                       |
| get      | the path                                            | {data, version, cversion, owner}      |
| exists   | the path                                            | {version, ...}                        |
| children | the path                                            | the names                             |
| multi    | [["create", {...}], ["check", {...}], ...]          | what each was told, in a list         |
| close    | the session                                         |                                       |

In an argument only the path is necessary: no `version` means any, `session` makes it ephemeral.  In a result
everything may be missing, and says nothing then.  `cversion` and the numbers of sequential nodes are counted
as ZooKeeper counts them.

A refusal is an answer: OK (or FAIL) with `Operation.error` one of ERRORS.  A multi is refused with the first
error of its parts, and changes nothing.  `close` stands for a session that ends in any way: its ephemeral
nodes are gone.  Paths depend on each other, so the tree is one object, whatever `Operation.key` says.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agreed.check.history import Operation, Status
from agreed.check.models.model import Model
from agreed.check.models.values import Map, frozen, malformed, unknown_function
from agreed.errors import MalformedInput

ERRORS = frozenset({"NoNode", "NodeExists", "NotEmpty", "BadVersion", "NoChildrenForEphemerals"})

READS = frozenset({"get", "exists", "children", "check"})
WRITES = frozenset({"create", "delete", "set"})


class Node(NamedTuple):
    """`made` counts all children that there ever were."""

    data: Hashable = None
    version: int = 0
    made: int = 0
    children: frozenset[str] = frozenset()
    owner: Hashable = None


class Request(NamedTuple):
    """One request, or one part of a multi."""

    function: str
    path: str
    data: Hashable = None
    version: int | None = None
    sequential: bool = False
    session: Hashable = None


class Answer(NamedTuple):
    """What the tree says to a request."""

    error: str = ""
    path: str = ""
    node: Node | None = None


class Tree(Model[Map]):
    """Znodes by path."""

    name = "tree"

    def __init__(self, initial: object = None) -> None:
        """`initial`: {path: data} of nodes that are there, parents first."""
        if not isinstance(initial, Mapping | None):
            raise MalformedInput(f"a {self.name} begins with a map of paths to data, not with {initial!r}")
        state = Map({"/": Node()})
        for path, data in (initial or {}).items():
            state, answer = _do(state, Request("create", str(path), frozen(data)))
            if answer.error:
                raise MalformedInput(f"the tree cannot begin with {path}: {answer.error}")
        self._initial = state

    @property
    def initial(self) -> Map:
        return self._initial

    def effect(self, operation: Operation) -> Hashable:
        requests = _requests(operation)
        if _refusal(operation):
            return ("refused", requests, operation.error)
        if operation.status is Status.FAIL:
            return None
        if operation.status is Status.OK:
            return ("done", requests, tuple(frozen(told) for told in _told(operation, requests)))
        return None if self.reads_only(operation) else ("unknown", requests)

    def step(self, state: Map, operation: Operation) -> Sequence[Map]:
        requests = _requests(operation)
        error = _refusal(operation)
        after = state
        for number, request in enumerate(requests):
            after, answer = _do(after, request)
            if answer.error:
                return (state,) if answer.error == error else ()
            if operation.status is Status.OK and not error:
                told = _told(operation, requests)[number]
                if not _fits(operation, request, answer, told):
                    return ()
        return () if error else (after,)

    def reads_only(self, operation: Operation) -> bool:
        return bool(_refusal(operation)) or all(each.function in READS for each in _requests(operation))

    def may_follow(self, first: Operation, second: Operation) -> bool:
        """Where neither looks at what the other changes.  Two creations below one parent may change places,
        unless one of them, or anybody else, counts."""
        ours, theirs = _footprint(first), _footprint(second)
        if ours is None or theirs is None:
            return False
        return all(
            use == theirs[thing] != WRITTEN for thing, use in ours.items() if thing in theirs
        )


LOOKED_AT, ADDED_TO, WRITTEN = "looked at", "added to", "written"


def _footprint(operation: Operation) -> dict[tuple[str, str], str] | None:
    """What it looks at and changes: (path, "node") and (path, "children").  None: who knows."""
    found: dict[tuple[str, str], str] = {}

    def uses(thing: tuple[str, str], use: str) -> None:
        found[thing] = use if found.get(thing, use) == use else WRITTEN

    refused = bool(_refusal(operation))
    for request in _requests(operation):
        if request.function == "close" or (request.sequential and not refused):
            return None
        changes = request.function in WRITES and not refused
        uses((request.path, "node"), WRITTEN if changes else LOOKED_AT)
        if request.function in ("create", "delete"):
            parent = _parent(request.path)
            uses((parent, "node"), LOOKED_AT)
            uses((request.path, "children"), LOOKED_AT)
            if changes:
                uses((parent, "children"), ADDED_TO)
        elif request.function != "check":
            uses((request.path, "children"), LOOKED_AT)
    return found


def _requests(operation: Operation) -> tuple[Request, ...]:
    if operation.function == "multi":
        if not isinstance(operation.argument, list | tuple):
            raise malformed(operation, "a list of requests")
        return tuple(_request(operation, part) for part in operation.argument)
    return (_request(operation, (operation.function, operation.argument)),)


def _request(operation: Operation, part: object) -> Request:
    match part:
        case ["close", session] if operation.function == "close":
            return Request("close", "", session=frozen(session))
        case [str(function), str(path)] if function in READS:
            return Request(function, path)
        case [str(function), {"path": str(path), **more}] if function in READS | WRITES:
            return _with_more(operation, Request(function, path), more)
        case [str(function), *_] if function not in READS | WRITES:
            raise unknown_function("tree", operation)
    raise malformed(operation, "paths", part)


def _with_more(operation: Operation, request: Request, more: Mapping[Any, Any]) -> Request:
    version = more.get("version")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise malformed(operation, "versions that are whole numbers", version)
    return request._replace(
        data=frozen(more.get("data")),
        version=version,
        sequential=bool(more.get("sequential")),
        session=frozen(more.get("session")),
    )


def _refusal(operation: Operation) -> str:
    answered = operation.status is not Status.INFO
    return operation.error if answered and operation.error in ERRORS and operation.error else ""


def _told(operation: Operation, requests: Sequence[Request]) -> Sequence[object]:
    if operation.function != "multi":
        return (operation.result,)
    if operation.result is None:
        return (None,) * len(requests)
    if not isinstance(operation.result, list | tuple) or len(operation.result) != len(requests):
        raise malformed(operation, "a list of as many answers as requests", operation.result)
    return operation.result


def _fits(operation: Operation, request: Request, answer: Answer, told: object) -> bool:
    if told is None or request.function in ("delete", "check", "close"):
        return True
    if request.function == "create":
        return told == answer.path
    assert answer.node is not None
    if request.function == "children":
        if not isinstance(told, list | tuple | set | frozenset):
            raise malformed(operation, "a list of names", told)
        return answer.node.children == frozenset(told)
    if not isinstance(told, Mapping):
        raise malformed(operation, "a map of what is known of the node", told)
    return all(_known(operation, answer.node, name) == frozen(value) for name, value in told.items())


def _known(operation: Operation, node: Node, name: str) -> Hashable:
    match name:
        case "data":
            return node.data
        case "version":
            return node.version
        case "cversion":
            return 2 * node.made - len(node.children)
        case "owner":
            return node.owner
    raise malformed(operation, "data, version, cversion and owner", name)


# --- what the tree does -----------------------------------------------------------------------------------


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _do(state: Map, request: Request) -> tuple[Map, Answer]:
    """The tree after the request (the same if it is refused), and the answer."""
    if request.function == "create":
        return _create(state, request)
    if request.function == "close":
        return _close(state, request.session), Answer()
    node = state.get(request.path)
    if not isinstance(node, Node):
        return state, Answer("NoNode")
    if request.version is not None and request.version != node.version:
        return state, Answer("BadVersion")
    if request.function == "set":
        node = node._replace(data=request.data, version=node.version + 1)
        return state.with_(request.path, node), Answer(node=node)
    if request.function == "delete":
        return (state, Answer("NotEmpty")) if node.children else (_removed(state, request.path), Answer())
    return state, Answer(node=node)


def _create(state: Map, request: Request) -> tuple[Map, Answer]:
    above = _parent(request.path)
    parent = state.get(above)
    if not isinstance(parent, Node):
        return state, Answer("NoNode")
    path = f"{request.path}{parent.made:010d}" if request.sequential else request.path
    if path in state:
        return state, Answer("NodeExists")
    if parent.owner is not None:
        return state, Answer("NoChildrenForEphemerals")
    name = path.rpartition("/")[2]
    state = state.with_(above, parent._replace(made=parent.made + 1, children=parent.children | {name}))
    return state.with_(path, Node(data=request.data, owner=request.session)), Answer(path=path)


def _removed(state: Map, path: str) -> Map:
    above = _parent(path)
    parent = state.get(above)
    assert isinstance(parent, Node)
    left = parent._replace(children=parent.children - {path.rpartition("/")[2]})
    return state.with_(above, left).without(path)


def _close(state: Map, session: Hashable) -> Map:
    for path in list(_owned(state, session)):
        state = _removed(state, path)
    return state


def _owned(state: Map, session: Hashable) -> Iterator[str]:
    for path, node in state.items():
        if isinstance(node, Node) and node.owner is not None and node.owner == session:
            assert isinstance(path, str)
            yield path
