"""Where a framework is not installed, its module says which extra brings it; nothing else minds."""

from __future__ import annotations

import subprocess
import sys

import pytest

MODULES = [
    ("celery", "celery", "celery"),
    ("apscheduler", "apscheduler", "apscheduler"),
    ("sqlalchemy", "sqlalchemy", "sqlalchemy"),
    ("tooz", "tooz", "tooz"),
    ("tooz_lock", "tooz", "tooz"),
    ("django.apps", "django", "django"),
    ("django.commands", "django", "django"),
    ("django.settings", "django", "django"),
    ("django.management.commands.run_leader", "django", "django"),
]


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What importing each of them says in a process that has none of the frameworks."""
    program = [
        "import sys, importlib",
        "import agreed.integrations",
        "assert not {'celery', 'django', 'sqlalchemy', 'tooz'} & set(sys.modules), 'lazily'",
        *(f"sys.modules[{framework!r}] = None" for framework in sorted({each[1] for each in MODULES})),
        "import agreed.integrations.asgi",
        f"for name in {[module for module, _, _ in MODULES]!r}:",
        "    try:",
        "        importlib.import_module('agreed.integrations.' + name)",
        "        print('imported')",
        "    except Exception as error:",
        "        print(type(error).__name__, error)",
    ]
    ended = subprocess.run(
        [sys.executable, "-c", "\n".join(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.parametrize("number", range(len(MODULES)), ids=[module for module, _, _ in MODULES])
def test_the_extra_is_named(told: list[str], number: int) -> None:
    extra = MODULES[number][2]
    assert told[number].startswith("ConfigurationError ")
    assert told[number].endswith(f"install agreed[{extra}]")
