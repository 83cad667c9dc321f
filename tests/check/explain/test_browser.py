"""The pages in a real browser: what they draw, and what happens when somebody presses a key.

Each page is opened once, without a screen, with a script added at its end that does what a reader would do
and writes down what is then to be seen; the browser prints the page as it has become.
"""
from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agreed.check import explain
from agreed.check.explain.space_time import Lane, Mark, MarkKind, Message, diagram
from agreed.check.history import History, history
from agreed.check.verdict import Outcome, Verdict, Witness
from tests.check.explain.examples import CIRCLE, STALE, STALE_READ, keyed, operation
from tests.check.explain.test_html import EVIL

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium here to look at the pages with (run make peers)"
)

ASK = """<script>
{
const press = (key, target) => (target || document.body).dispatchEvent(
  new KeyboardEvent("keydown", {key, bubbles: true}));
const all = what => [...document.querySelectorAll(what)];
const count = what => all(what).length;
const said = what => document.querySelector(what).textContent;
const shown = what => document.querySelector(what).checkVisibility();
const told = {};
let failure = "";
addEventListener("error", event => { failure = event.message; });
try { QUESTIONS } catch (error) { failure = String(error); }
const out = document.createElement("pre");
out.id = "told";
out.textContent = JSON.stringify({...told, failure});
document.body.append(out);
}
</script></body>"""


def seen(page: str, questions: str, directory: Path) -> dict[str, Any]:
    """What `questions` (JavaScript that fills `told`) found on the page."""
    assert BROWSER is not None
    file = directory / "page.html"
    file.write_text(page.replace("</body>", ASK.replace("QUESTIONS", questions)), encoding="utf-8")
    ended = subprocess.run(
        [
            BROWSER, "--headless", "--disable-gpu", "--window-size=1400,1000", f"--user-data-dir={directory}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []), "--dump-dom", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="told">(.*?)</pre>', ended.stdout, re.DOTALL)
    assert found is not None, ended.stdout[-2000:] + ended.stderr
    answer: dict[str, Any] = json.loads(html.unescape(found[1]))
    assert answer.pop("failure") == ""
    return answer


def test_the_smallest_piece_is_shown_first_and_keys_lead_on(tmp_path: Path) -> None:
    told = seen(
        explain.page(STALE, STALE_READ),
        """
        told.outcome = said("#outcome");
        told.piece = count("#canvas .bar");
        told.stuck = said("#canvas .bar.stuck");
        told.names = all("#names span").map(node => node.textContent);
        told.states = all("#canvas .state").map(node => node.textContent);
        told.details = said("#details");
        press("Escape"); document.querySelector("#steps .reference").click();
        told.reference = said("#details h3");
        press("2"); told.around = count("#canvas .bar");
        press("3"); told.whole = count("#canvas .bar");
        told.pieceIsMarked = count("#canvas .bar.piece");
        told.open = count("#canvas .bar.info");
        told.failed = count("#canvas .bar.fail");
        told.points = count("#canvas .point");
        told.faults = all("#canvas .fault-bar").map(node => node.textContent);
        document.getElementById("order").value = "1";
        document.getElementById("order").dispatchEvent(new Event("change"));
        told.pointsOfSecond = count("#canvas .point");
        const scroller = document.getElementById("scroller");
        press("Escape"); press("Home", scroller); press("ArrowRight", scroller); press("Enter", scroller);
        told.pinned = said("#details h3");
        told.active = scroller.getAttribute("aria-activedescendant");
        press("."); told.next = said("#details h3");
        press("ArrowUp", scroller); told.above = said("#details h3");
        const before = page.zoom; press("+"); told.larger = page.zoom > before;
        press("t"); told.trueTime = page.trueTime;
        told.bars = count("#canvas .bar");
        paintSheets(); told.onPaper = count("#sheets .bar");
        """,
        tmp_path,
    )
    assert told == {
        "outcome": "Violated",
        "piece": 2,
        "stuck": "read → 1",
        "names": ["time", "faults", "client 0", "client 1", "state"],
        "states": ["2", "nothing fits"],
        "details": told["details"],
        "reference": "read → 1",
        "around": 4,
        "whole": 6,
        "pieceIsMarked": 2,
        "open": 1,
        "failed": 1,
        "points": 2,
        "faults": ["partition", "kill n3"],
        "pointsOfSecond": 3,
        "pinned": "write 2",
        "active": "bar-1",
        "next": "write 3 ?",
        "above": "write 2",
        "larger": True,
        "trueTime": True,
        "bars": 6,
        "onPaper": 6,
    }
    assert "state before2" in told["details"]
    assert "This is where the order gets stuck" in told["details"]


def test_a_circle_is_drawn_as_a_ring_and_sentences_light_their_arrows(tmp_path: Path) -> None:
    told = seen(
        explain.page(*CIRCLE),
        """
        told.cards = all("#cycle .card").map(node => node.textContent);
        told.kinds = all("#cycle .kind").map(node => node.textContent);
        told.numbers = all("#cycle .badge text:not(.kind)").map(node => node.textContent);
        told.onBars = count("#canvas .arrow");
        document.querySelectorAll("#steps li")[2].dispatchEvent(new MouseEvent("mouseenter"));
        told.lit = all(".arrow.lit").length;
        document.querySelector("#cycle .card").dispatchEvent(new MouseEvent("click", {bubbles: true}));
        told.pinned = said("#details h3");
        told.models = said("#models");
        """,
        tmp_path,
    )
    assert told == {
        "cards": ["T1 · client 0 · #0append x 1, r y [2]", "T2 · client 1 · #1append y 2, r x [1]"],
        "kinds": ["wr x", "wr y"],
        "numbers": ["3", "4"],
        "onBars": 2,
        "lit": 2,
        "pinned": "append x 1, r y [2]",
        "models": "Ruled out: read-committed.and with these a stronger oneserializable",
    }


def test_each_object_has_a_tab(tmp_path: Path) -> None:
    told = seen(
        explain.page(*keyed()),
        """
        told.tabs = all("#tabs button").map(node => node.className + " " + node.firstChild.textContent);
        told.finding = shown("#findings");
        document.querySelectorAll("#tabs button")[1].click();
        told.findingOfGood = shown("#findings");
        told.bars = count("#canvas .bar");
        told.selected = said('#tabs [aria-selected="true"]');
        """,
        tmp_path,
    )
    assert told == {
        "tabs": ["violated bad", "holds good", "unknown ugly"],
        "finding": True,
        "findingOfGood": False,
        "bars": 2,
        "selected": "good2",
    }


def many(count: int) -> History:
    return history(
        operation(number, number % 9, "write", number, None, 10 * number, 10 * number + 9)
        for number in range(count)
    )


def test_of_a_long_history_only_what_is_in_sight_is_drawn(tmp_path: Path) -> None:
    witness = Witness(None, range(12_000), [str(number) for number in range(12_000)])
    told = seen(
        explain.page(many(12_000), Verdict("linearizable register", Outcome.HOLDS, witnesses=[witness])),
        """
        told.drawn = count("#canvas .bar");
        told.note = said("#note");
        document.getElementById("scroller").scrollLeft = page.plan.width / 2; repaint();
        told.elsewhere = said("#canvas .bar");
        told.stillFew = count("#canvas .bar");
        """,
        tmp_path,
    )
    assert 2 <= told["drawn"] <= 200
    assert 2 <= told["stillFew"] <= 200
    assert told["note"] == "10,000 of 12,000 operations are drawn: those nearest to the first finding."
    assert 3_000 < int(told["elsewhere"].split()[-1]) < 7_000


def test_markup_in_what_clients_wrote_does_nothing(tmp_path: Path) -> None:
    operations = [operation(0, EVIL, EVIL, EVIL, EVIL, 0, 10)]
    page = explain.page(history(operations), Verdict(EVIL, Outcome.HOLDS, EVIL), EVIL)
    told = seen(page, 'told.images = count("img"); told.bars = count("#canvas .bar");', tmp_path)
    assert told == {"images": 0, "bars": 1}


def test_nothing_at_all_is_no_failure(tmp_path: Path) -> None:
    page = explain.page(history([]), Verdict("linearizable register", Outcome.HOLDS))
    assert seen(page, 'told.picture = shown("#picture");', tmp_path) == {"picture": False}


def test_a_space_time_diagram_shows_what_may_have_caused_what(tmp_path: Path) -> None:
    lanes = [Lane("n1"), Lane("n2"), Lane("n3")]
    messages = [
        Message("n1", "n2", 0, 10, "question", "ask"),
        Message("n2", "n1", 10, 20, "answer", "tell"),
        Message("n3", "n2", 0, 30, "nothing to do with it", "ask"),
        Message("n1", "n3", 5, None, "lost", "ask"),
    ]
    marks = [
        Mark(MarkKind.FAULT, 0, "n3 is cut off", until=25),
        Mark(MarkKind.WRONG, 20, "two leaders", "n1"),
        Mark(MarkKind.CRASH, 40, "crash", "n2"),
        Mark(MarkKind.RESTART, 50, "restart", "n2"),
        Mark(MarkKind.SPAN, 10, "leads", "n2", 40),
    ]
    told = seen(
        diagram(lanes, messages, marks, "seed 7"),
        """
        told.messages = count("#canvas .message"); told.lost = count("#canvas .message.lost");
        told.lanes = all("#lanes span").map(node => node.textContent);
        told.down = count("#canvas .life.down");
        document.getElementById("to-wrong").click();
        told.details = said("#details");
        told.faded = all("#canvas .message.unrelated text").map(node => node.textContent);
        document.getElementById("related").click();
        told.left = all("#canvas .message text").map(node => node.textContent);
        document.getElementById("related").click();
        document.querySelectorAll("#kinds input")[0].click();
        told.withoutQuestions = all("#canvas .message text").map(node => node.textContent);
        press("Escape"); told.fadedAfterwards = count("#canvas .unrelated");
        """,
        tmp_path,
    )
    assert told == {
        "messages": 4,
        "lost": 1,
        "lanes": ["n1", "n2", "n3"],
        "down": 1,
        "details": told["details"],
        "faded": ["nothing to do with it"],
        "left": ["question", "lost", "answer"],
        "withoutQuestions": ["answer"],
        "fadedAfterwards": 0,
    }
    assert "two leaders" in told["details"]
