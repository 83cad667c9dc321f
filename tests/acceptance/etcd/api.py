"""A client of the etcd API that shares no code with ours: grpcio and Google's protobuf.

api = EtcdApi("127.0.0.1:2379")
api.call("Put", key=b"a", value=b"1")           the reply; grpc.RpcError where it is refused
with api.stream("Watch") as watch:              a stream: `send` requests, `next` replies
    watch.send(create_request=...)
    watch.next()
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import grpc

from tests.acceptance.etcd.schema import METHODS, pb

UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
PATIENCE_S = 15.0


class Silent(Exception):
    """Nothing more was said within the time."""


class EtcdApi:
    """One HTTP/2 connection of its own to one server."""

    def __init__(
        self, address: str, *, token: str | None = None, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        self.address = address
        self.token = token
        options = UNBOUNDED + OWN_CONNECTION
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options=options)
        else:
            self._channel = grpc.secure_channel(address, credentials, options=options)
        self._calls: dict[str, Any] = {}

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _metadata(self, metadata: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return (*metadata, ("token", self.token)) if self.token else metadata

    def _prepared(self, name: str) -> Any:
        if name not in self._calls:
            method = METHODS[name]
            shape = f"{'stream' if method.streams_requests else 'unary'}_"
            shape += "stream" if method.streams_replies else "unary"
            self._calls[name] = getattr(self._channel, shape)(
                method.path,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=getattr(pb, method.reply).FromString,
            )
        return self._calls[name]

    def call(
        self,
        name: str,
        request: Any = None,
        /,
        *,
        timeout_s: float = PATIENCE_S,
        metadata: tuple[tuple[str, str], ...] = (),
        **fields: Any,
    ) -> Any:
        """The reply, or for a server stream the list of them."""
        if request is None:
            request = getattr(pb, METHODS[name].request)(**fields)
        answer = self._prepared(name)(request, timeout=timeout_s, metadata=self._metadata(metadata))
        return list(answer) if METHODS[name].streams_replies else answer

    def stream(
        self,
        name: str,
        request: Any = None,
        /,
        *,
        timeout_s: float | None = None,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> Stream:
        """With the one `request` of a server stream; with none where requests are a stream as well."""
        return Stream(self._prepared(name), name, request, timeout_s, self._metadata(metadata))

    def raw(self, path: str, message: bytes, *, timeout_s: float = PATIENCE_S) -> bytes:
        """A call of any path, with bytes for messages."""
        answer: bytes = self._channel.unary_unary(path)(message, timeout=timeout_s)
        return answer


class Stream:
    """A call with requests and replies, each as they come."""

    def __init__(
        self,
        call: Any,
        name: str,
        request: Any,
        timeout_s: float | None,
        metadata: tuple[tuple[str, str], ...],
    ) -> None:
        self._request = getattr(pb, METHODS[name].request)
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
        said = iter(self._requests.get, None) if request is None else request
        self._call = call(said, timeout=timeout_s, metadata=metadata)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            for reply in self._call:
                self._replies.put(reply)
            self._replies.put(None)
        except grpc.RpcError as problem:
            self._replies.put(problem)

    def send(self, request: Any = None, **fields: Any) -> None:
        self._requests.put(self._request(**fields) if request is None else request)

    def end(self) -> None:
        """No more requests."""
        self._requests.put(None)

    def next(self, within_s: float = PATIENCE_S) -> Any:
        """The next reply, or None at the end.  Raises grpc.RpcError where the call failed, `Silent` where
        nothing came in time."""
        try:
            reply = self._replies.get(timeout=within_s)
        except queue.Empty:
            raise Silent(f"nothing was heard for {within_s} s") from None
        if isinstance(reply, grpc.RpcError):
            raise reply
        return reply

    def waiting(self) -> Iterator[Any]:
        """What has come so far."""
        while not self._replies.empty():
            yield self.next()

    def close(self) -> None:
        self._requests.put(None)
        self._call.cancel()
        self._reader.join(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
