"""`grpc.health.v1.Health`: is this node up?  For load balancers and clients that ask before they call.

As etcd: the node as a whole (the empty name) is serving from its start to its end; that nobody leads is told
by each call and by `/health`, not here, for a client that left because of it would find the others no better.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agreed.replica.etcd.calls import Call
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import HealthCheckRequest, HealthCheckResponse, ServingStatus

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients


class HealthService:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._watching: dict[Call, ServingStatus] = {}
        front.on_round.append(self._round)

    def handlers(self) -> dict[str, Callable[[Call, Any], None]]:
        return {
            "/grpc.health.v1.Health/Check": self.check,
            "/grpc.health.v1.Health/Watch": self.watch,
        }

    def _now(self) -> ServingStatus:
        stops = self._front.stopping or self._front.replica.problem is not None
        return ServingStatus.NOT_SERVING if stops else ServingStatus.SERVING

    def check(self, call: Call, request: HealthCheckRequest) -> None:
        if request.service:
            call.fail(errors.HEALTH_UNKNOWN_SERVICE)
        else:
            call.reply(HealthCheckResponse(self._now()))

    def watch(self, call: Call, request: HealthCheckRequest) -> None:
        """Told at once, and at each change; a service that is not known may come to be."""
        if request.service:
            call.send(HealthCheckResponse(ServingStatus.SERVICE_UNKNOWN))
            return
        self._watching[call] = self._now()
        call.on_closed = lambda: self._watching.__delitem__(call)
        call.send(HealthCheckResponse(self._now()))

    def _round(self) -> None:
        now = self._now()
        for call, told in list(self._watching.items()):
            if call.closed:
                del self._watching[call]
            elif told is not now:
                self._watching[call] = now
                call.send(HealthCheckResponse(now))
