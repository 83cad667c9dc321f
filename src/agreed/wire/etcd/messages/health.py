"""Is the service up: `grpc.health.v1.Health`."""
from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Struct


class ServingStatus(IntEnum):
    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


class HealthCheckRequest(Struct, frozen=True, gc=False):
    service: Annotated[str, 1] = ""


class HealthCheckResponse(Struct, frozen=True, gc=False):
    status: Annotated[int, ServingStatus, 1] = ServingStatus.UNKNOWN
