"""Which extra of this package is missing, in words that can be typed."""

from __future__ import annotations

from agreed.errors import ConfigurationError


def missing(extra: str, error: ImportError) -> ConfigurationError:
    """For `raise missing("celery", error) from error`, where an import of the framework failed."""
    return ConfigurationError(f"{error}: install agreed[{extra}]")
