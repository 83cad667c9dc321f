"""Which backend a URL means, also one that a package brings; and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from agreed.backends.zookeeper import backend as zookeeper
from agreed.coordination.schemes import factory_of, url_or_environment
from agreed.errors import ConfigurationError

BROUGHT = "async def connect(url, **settings):\n    raise NotImplementedError\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed, as a package index would: it brings a service of its own, and wants to be ZooKeeper too."""
    (tmp_path / "consulate.py").write_text(BROUGHT, encoding="utf-8")
    described = tmp_path / "consulate-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: consulate\nVersion: 1.0\n")
    entries = "[agreed.backends]\nconsulate = consulate:connect\nzk = consulate:connect\n"
    (described / "entry_points.txt").write_text(entries)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("package")
def test_a_package_brings_a_service() -> None:
    import consulate

    assert factory_of("consulate://127.0.0.1/app") is consulate.connect


@pytest.mark.usefixtures("package")
def test_what_is_built_in_is_not_replaced() -> None:
    assert factory_of("zk://127.0.0.1/app") is zookeeper.connect


@pytest.mark.parametrize("url", ["consulate://127.0.0.1", "127.0.0.1:2181", "//127.0.0.1", ""])
def test_what_nobody_knows_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        factory_of(url)


def test_without_a_url_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGREED_URL", raising=False)
    with pytest.raises(ConfigurationError, match="AGREED_URL"):
        url_or_environment(None)
    monkeypatch.setenv("AGREED_URL", "memory://jobs")
    assert url_or_environment(None) == "memory://jobs"
    assert url_or_environment("memory://other") == "memory://other"
