"""The pages beside the API: what probes and collectors of an etcd find there."""

from __future__ import annotations

import pytest

from agreed.consensus.members import Member, Members
from agreed.store.alarms import AlarmKind
from agreed.store.commands import SetAlarm
from tests.replica.alone import Alone
from tests.replica.etcd.browsing import Browser, Page

TEXT = "text/plain; charset=utf-8"


@pytest.fixture
def browser() -> Browser:
    return Browser(Alone())


def alarm(browser: Browser, kind: AlarmKind) -> None:
    browser.node.replica.submit(SetAlarm(1, kind, True))
    browser.node.turn()


def told(page: Page) -> tuple[int, str]:
    assert page.headers["content-type"] == TEXT
    return page.code, page.body.decode()


def test_the_version_is_nothing_but_numbers(browser: Browser) -> None:
    page = browser.get("/version")
    assert (page.code, page.headers["content-type"]) == (200, "application/json")
    assert list(page.json) == ["etcdserver", "etcdcluster"]
    for version in page.json.values():
        assert tuple(map(int, version.split("."))) >= (3, 5, 0)


def test_a_healthy_node(browser: Browser) -> None:
    assert told(browser.get("/health")) == (200, '{"health":"true","reason":""}')
    assert told(browser.get("/livez")) == (200, "ok\n")
    assert told(browser.get("/livez?verbose")) == (200, "[+]serializable_read ok\nok\n")
    assert told(browser.get("/readyz?verbose")) == (
        200,
        "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n",
    )
    for check in ("data_corruption", "serializable_read", "linearizable_read", "non_learner"):
        assert told(browser.get(f"/readyz/{check}")) == (200, "ok\n")


@pytest.mark.parametrize("path", ["/readyz/nope", "/livez/linearizable_read", "/health/x", "/debug/vars"])
def test_what_is_no_page(browser: Browser, path: str) -> None:
    assert told(browser.get(path)) == (404, "404 page not found\n")


@pytest.mark.parametrize("path", ["/version", "/health", "/livez", "/readyz", "/metrics"])
def test_pages_are_only_read(browser: Browser, path: str) -> None:
    page = browser.begin("POST", path, b"x")
    assert told(page) == (405, "Method Not Allowed\n")
    assert page.headers["allow"] == "GET"
    assert browser.get("/version").code == 200, "the connection goes on"


def test_alarms_are_told_unless_somebody_does_not_want_to_know(browser: Browser) -> None:
    alarm(browser, AlarmKind.NO_SPACE)
    assert told(browser.get("/health")) == (503, '{"health":"false","reason":"ALARM NOSPACE"}\n')
    assert told(browser.get("/health?serializable=true")) == (
        503,
        '{"health":"false","reason":"ALARM NOSPACE"}\n',
    )
    assert told(browser.get("/health?exclude=NOSPACE")) == (200, '{"health":"true","reason":""}')
    assert browser.get("/readyz").code == 200, "reads go on"
    alarm(browser, AlarmKind.CORRUPT)
    assert told(browser.get("/health?exclude=NOSPACE"))[1] == '{"health":"false","reason":"ALARM CORRUPT"}\n'
    assert browser.get("/health?exclude=NOSPACE&exclude=CORRUPT").code == 200
    assert told(browser.get("/readyz")) == (
        503,
        "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n"
        "[+]linearizable_read ok\n[+]non_learner ok\n\n",
    )
    assert browser.get("/readyz?exclude=data_corruption").code == 200
    assert browser.get("/livez").code == 200


def test_nobody_leads() -> None:
    """One of three, and the others never answer."""
    browser = Browser(Alone(members=("n1", "n2", "n3")))
    assert told(browser.get("/health")) == (503, '{"health":"false","reason":"RAFT NO LEADER"}\n')
    assert told(browser.get("/health?serializable=true")) == (200, '{"health":"true","reason":""}')
    assert told(browser.get("/livez")) == (200, "ok\n")
    assert browser.get("/readyz?exclude=linearizable_read").code == 200
    browser.begin("GET", "/readyz")
    assert len(browser.pages) == 4, "it waits"
    browser.node.pass_ms(8_000, 500)
    browser.look()
    code, text = told(browser.pages[-1])
    assert code == 503
    assert "[-]linearizable_read failed: RANGE ERROR:etcdserver: request timed out\n" in text


def test_who_hangs_up_while_a_page_waits_harms_nobody() -> None:
    node = Alone(members=("n1", "n2", "n3"))
    browser = Browser(node)
    browser.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    browser.hang_up()
    node.pass_ms(8_000, 500)
    assert browser.raw == b""


def test_a_learner_is_not_ready(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    me = Member("n1", 1, "n1:1")
    learning = Members((Member("n2", 2, "n2:1"),), (me,))
    monkeypatch.setattr(type(browser.node.replica), "members", property(lambda _: learning))
    assert told(browser.get("/readyz/non_learner")) == (
        503,
        "[-]non_learner failed: node is a learner\n\n",
    )
