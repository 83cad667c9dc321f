"""From what a program asks to the requests of the wire, and from answers to values: pure functions.

Every path of the program is put behind the root of the URL (`Paths`), and what comes back has it taken off
again.
"""
from __future__ import annotations

from collections.abc import Sequence

from agreed.client.errors import BadArguments, ClientError, TooLarge, UnknownAnswer, error_of
from agreed.client.values import Check, Create, Created, Delete, MultiResult, Operation, SetData
from agreed.wire.zookeeper.connection import FRAME_BYTES_MAX, Answer
from agreed.wire.zookeeper.messages import (
    CheckRequest,
    CreateMode,
    CreateRequest,
    DeleteRequest,
    ErrorCode,
    MultiOperation,
    MultiRequest,
    Op,
    Request,
    SetDataRequest,
)
from agreed.wire.zookeeper.replies import Create2Reply, CreateReply, ErrorReply, MultiReply, SetDataReply
from agreed.wire.zookeeper.request_codec import encode_request

_CERTAINLY_SMALL = FRAME_BYTES_MAX // 2


class Paths:
    """Paths of the program <-> paths of the wire."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._root = root.encode()

    def wire(self, path: str) -> bytes:
        """Raises BadArguments where it is none; what else is wrong with it is for the server to say."""
        if not path.startswith("/"):
            raise BadArguments(path)
        try:
            full = self._root + path.encode()
        except UnicodeEncodeError:
            raise BadArguments(ascii(path)) from None
        return full[:-1] if path == "/" and self._root else full

    def told(self, path: bytes) -> str:
        return path[len(self._root) :].decode("utf-8", "replace") or "/"


def create_request(paths: Paths, wish: Create) -> CreateRequest:
    """Raises BadArguments for a kind of node that there is not."""
    plain = CreateMode(int(wish.ephemeral) + 2 * int(wish.sequential))
    mode, op, ttl_ms = plain, Op.CREATE2, 0
    if wish.container or wish.ttl_ms is not None:
        if wish.ephemeral or (wish.container and (wish.sequential or wish.ttl_ms is not None)):
            raise BadArguments(wish.path)
        if wish.container:
            mode, op = CreateMode.CONTAINER, Op.CREATE_CONTAINER
        else:
            ttl_ms, op = wish.ttl_ms or 0, Op.CREATE_TTL
            mode = (
                CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL
                if wish.sequential
                else CreateMode.PERSISTENT_WITH_TTL
            )
    return CreateRequest(paths.wire(wish.path), wish.data, wish.acl, mode, ttl_ms, op)


def multi_request(paths: Paths, operations: Sequence[Operation]) -> MultiRequest:
    return MultiRequest(tuple(_multi_operation(paths, each) for each in operations))


def _multi_operation(paths: Paths, operation: Operation) -> MultiOperation:
    match operation:
        case Create():
            return create_request(paths, operation)
        case SetData():
            return SetDataRequest(paths.wire(operation.path), operation.data, operation.version)
        case Delete():
            return DeleteRequest(paths.wire(operation.path), operation.version)
        case Check():
            return CheckRequest(paths.wire(operation.path), operation.version)


def multi_results(
    paths: Paths, operations: Sequence[Operation], reply: MultiReply
) -> tuple[MultiResult, ...]:
    """Raises what was refused, with the place of the operation that was.  In a multi that failed those before
    it say 0, and those after it say that they were not tried."""
    results: list[MultiResult] = []
    failed = False
    for index, (operation, result) in enumerate(zip(operations, reply.results, strict=True)):
        match result:
            case ErrorReply(error):
                failed = True
                if error not in (ErrorCode.OK, ErrorCode.RUNTIME_INCONSISTENCY):
                    raise error_of(error, operation.path, index)
            case Create2Reply(path, stat):
                results.append(Created(paths.told(path), stat))
            case CreateReply(path):
                results.append(paths.told(path))
            case SetDataReply(stat):
                results.append(stat)
            case _:
                results.append(None)
    if failed:
        raise UnknownAnswer(operations[0].path, ErrorCode.RUNTIME_INCONSISTENCY)
    return tuple(results)


def raise_if_too_large(request: Request, path: str) -> None:
    """A server hangs up on a frame that is too long, and then nobody knows why the connection was lost."""
    if _data_bytes(request) > _CERTAINLY_SMALL and len(encode_request(1, request)) - 4 > FRAME_BYTES_MAX:
        raise TooLarge(path)


def _data_bytes(request: Request | MultiOperation) -> int:
    match request:
        case CreateRequest() | SetDataRequest():
            return len(request.path) + len(request.data or b"")
        case MultiRequest():
            return sum(64 + _data_bytes(each) for each in request.operations)
        case DeleteRequest() | CheckRequest():
            return len(request.path)
        case _:
            return 0


def error_in(answer: Answer, path: str) -> ClientError | None:
    reply = answer.reply
    return error_of(reply.error, path) if isinstance(reply, ErrorReply) else None


def created(paths: Paths, reply: object, path: str) -> Created:
    if isinstance(reply, Create2Reply):
        return Created(paths.told(reply.path), reply.stat)
    raise UnknownAnswer(path, 0)
