"""What the settings of a project say about the service."""

from __future__ import annotations

from agreed.coordination.schemes import url_or_environment
from agreed.integrations.extras import missing

try:
    from django.conf import settings
except ImportError as error:
    raise missing("django", error) from error


def url() -> str:
    """Raises ConfigurationError where nobody has said it."""
    return url_or_environment(getattr(settings, "AGREED_URL", None))


def ttl_s() -> float:
    return float(getattr(settings, "AGREED_TTL", 10.0))
