"""The application, as Django finds it."""

from __future__ import annotations

from agreed.integrations.extras import missing

try:
    from django.apps import AppConfig
except ImportError as error:
    raise missing("django", error) from error


class AgreedConfig(AppConfig):
    name = "agreed.integrations.django"
    label = "agreed"
    verbose_name = "agreed"
