"""Management commands on one machine: within this process, and as a project of their own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings as project
from django.core.management import CommandError, call_command
from django.test.utils import override_settings

import agreed
from agreed.integrations.django.commands import LeaderCommand
from agreed.integrations.django.management.commands import run_leader
from agreed.recipes.errors import AcquireTimeout, NotHeld
from agreed.testing.server import ZooKeeperServer


@pytest.fixture(scope="module", autouse=True)
def _project() -> None:
    if not project.configured:
        project.configure(INSTALLED_APPS=["agreed.integrations.django"], AGREED_URL="memory://django/usual")
        django.setup()


class Invoices(LeaderCommand):
    leader_name = "invoices"

    def handle(self, *args: Any, **options: Any) -> str:
        self.term.check()
        return str(self.term.token)


def test_it_runs_where_it_leads_and_gives_leadership_back() -> None:
    command, out = Invoices(), io.StringIO()
    call_command(command, stdout=out)
    assert int(out.getvalue()) == command.term.token
    with pytest.raises(NotHeld):
        command.term.check()
    first = command.term.token
    call_command(command, stdout=out)
    assert command.term.token > first


def test_it_does_not_run_where_another_one_leads() -> None:
    with agreed.connect("memory://django/usual") as client, client.election("invoices").lead():
        with pytest.raises(CommandError, match="was not obtained") as told:
            call_command(Invoices(), leader_timeout=0.02)
        assert told.value.returncode == 75
        # Another service is another fleet.
        call_command(Invoices(), leader_url="memory://django/other", leader_timeout=5, stdout=io.StringIO())


def test_what_its_work_did_not_obtain_is_no_leader_elsewhere() -> None:
    """A cron job that ends with 75 is one whose work another machine does."""

    class WantsALock(LeaderCommand):
        leader_name = "wants a lock"

        def handle(self, *args: Any, **options: Any) -> None:
            raise AcquireTimeout("stock: it was not obtained in time")

    with pytest.raises(AcquireTimeout, match="stock"):
        call_command(WantsALock())


def test_a_loss_is_told_at_the_end(zk_server: ZooKeeperServer) -> None:
    class Stubborn(LeaderCommand):
        leader_name = "stubborn"

        def handle(self, *args: Any, **options: Any) -> None:
            zk_server.faults.expire(self.term.asynchronous.session.id)
            self.term.wait_lost()

    with pytest.raises(CommandError, match="is lost") as told:
        call_command(Stubborn(), leader_url=zk_server.url)
    assert told.value.returncode == 76


def test_its_name_is_that_of_its_module_unless_it_says_another() -> None:
    class Nameless(Invoices):
        leader_name = ""

    Nameless.__module__ = "shop.management.commands.send_invoices"
    with (
        agreed.connect("memory://django/usual") as client,
        client.election("send_invoices").lead(),
        pytest.raises(CommandError) as told,
    ):
        call_command(Nameless(), leader_timeout=0.02)
    assert told.value.returncode == 75


@override_settings(AGREED_URL=None)
def test_without_a_url_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGREED_URL", raising=False)
    with pytest.raises(CommandError, match="AGREED_URL is not set") as told:
        call_command(Invoices())
    assert told.value.returncode == 2


def test_run_leader_does_not_replace_a_program_that_calls_it() -> None:
    with pytest.raises(CommandError, match="replaces its process"):
        call_command("run_leader", "nightly", "check")


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, ["--leader", "it", "--ttl", "10"]),
        ({"once": True, "timeout": 0.0}, ["--leader", "it", "--ttl", "10", "--once", "--timeout", "0"]),
        ({"grace": 2.5}, ["--leader", "it", "--ttl", "10", "--grace", "2.5"]),
    ],
)
def test_what_run_leader_becomes(options: dict[str, Any], chosen: list[str]) -> None:
    usual = {"name": "it", "once": False, "timeout": None, "grace": None, "command": ["check", "--deploy"]}
    words = run_leader.arguments_of({**usual, **options}, 10.0, ["manage.py"])
    assert words == [
        *(sys.executable, "-m", "agreed", "run", *chosen, "--", "manage.py", "check", "--deploy"),
    ]


MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

TELL = """
import json, os
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("--all", action="store_true")

    def handle(self, *args, **options):
        told = {"token": int(os.environ["AGREED_TOKEN"]), "all": options["all"]}
        self.stdout.write(json.dumps(told))
        raise SystemExit(5)
"""


def test_a_project_runs_a_command_where_it_leads(tmp_path: Path) -> None:
    """`manage.py run_leader nightly -- tell --all`, with the code that `tell` ends with."""
    commands = tmp_path / "shop" / "management" / "commands"
    commands.mkdir(parents=True)
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "shop" / "__init__.py").touch()
    (commands / "tell.py").write_text(TELL)
    settings = (
        f'INSTALLED_APPS = ["agreed.integrations.django", "shop"]\nAGREED_URL = "file://{tmp_path}/locks"\n'
    )
    (tmp_path / "shop" / "settings.py").write_text(settings)
    arguments = [sys.executable, "manage.py", "run_leader", "nightly", "--", "tell", "--all"]
    ended = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 5, ended.stderr
    told = json.loads(ended.stdout)
    assert told["all"] is True
    assert told["token"] > 0
