"""What two servers said about the same script, brought into one form and compared field by field.

The normal form of one server's answers (`normal_form`):

* transaction ids in stats and notifications become their rank among all those of this script, so that only
  their order counts; a reply's own zxid becomes the number of those ranks it has reached (servers differ in
  which refused requests use up an id), and must never go back on a connection;
* a time becomes `now` if it lies within this run and is the one time of its transaction, and if times
  follow the order of the transactions; whatever breaks that stays in the form as it is, and differs from
  `now`;
* a session id becomes the name of the client that was given it, and the root of the script becomes `~`;
* sets are sorted, and so are the notifications of a session's end, whose order ZooKeeper leaves to a hash
  table.

`differences` compares two such forms, and leaves out what `KNOWN` explains.
"""
from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.acceptance.fields import Field, Nature
from tests.acceptance.requests import AnyRequest, CloseSession, Create, Multi
from tests.differential.zookeeper.play import Heard, Player
from tests.differential.zookeeper.script import Renew, Send, ZooKeeperScript

CLOCK_SLACK_MS = 2


@dataclass(frozen=True)
class Line:
    """One thing heard, in normal form."""

    step: int
    client: int
    about: str
    fields: tuple[tuple[str, object], ...]
    request: AnyRequest | None = None


@dataclass(frozen=True)
class Difference:
    step: int
    client: int
    about: str
    field: str
    left: object
    right: object
    request: AnyRequest | None = None

    def __str__(self) -> str:
        return (
            f"step {self.step}, client {self.client}, {self.about}\n"
            f"        {self.field}: expected {self.left!r}, got {self.right!r}"
        )

    @property
    def kind(self) -> str:
        what = f"{self.about.split('(')[0]} {self.field}"
        if self.field.startswith("("):
            return what
        return f"{what}: {str(self.left)[:60]} / {str(self.right)[:60]}"


# --- the normal form ----------------------------------------------------------------------------------------


class Renaming:
    """The transaction ids, times and session ids of one run, and what they are called."""

    def __init__(self, player: Player, *, event_zxids: bool, ended_ms: int) -> None:
        self._event_zxids = event_zxids
        self._sessions = player.sessions
        self._root = player.root
        self._window = (player.started_ms - CLOCK_SLACK_MS, ended_ms + CLOCK_SLACK_MS)
        fields = [field for heard in player.heard for field in self._counted(heard)]
        self._zxids = sorted({z for f in fields if f.nature is Nature.ZXID for z in [f.value] if positive(z)})
        self._times: dict[int, int] = {}
        for field in fields:
            if field.nature is Nature.TIME:
                zxid, moment = field.value
                self._times.setdefault(zxid, moment)
        moments = [self._times[zxid] for zxid in sorted(self._times) if zxid > 0]
        self._times_ordered = all(a <= b for a, b in itertools.pairwise(moments))

    def _counted(self, heard: Heard) -> Sequence[Field]:
        return heard.fields if self._event_zxids or not heard.is_event else ()

    def zxid(self, value: object) -> object:
        if not positive(value):
            return value
        return f"#{bisect.bisect_left(self._zxids, value)}"

    def reached(self, zxid: int) -> object:
        return f"#{bisect.bisect_right(self._zxids, zxid) - 1}" if zxid > 0 else zxid

    def time(self, zxid: int, moment: int) -> object:
        if zxid <= 0:
            return "before the first transaction"
        if not self._window[0] <= moment <= self._window[1]:
            return f"{moment} ms, not within the run"
        if self._times.get(zxid) != moment:
            return "another time than that of its transaction elsewhere"
        return "now" if self._times_ordered else "times out of the order of transactions"

    def session(self, value: int) -> object:
        return value if value == 0 else self._sessions.get(value, f"unknown session {value}")

    def field(self, field: Field) -> object:
        if field.nature is Nature.ZXID:
            return self.zxid(field.value)
        if field.nature is Nature.TIME:
            return self.time(*field.value)
        if field.nature is Nature.SESSION:
            return self.session(field.value)
        if field.nature is Nature.NAMES:
            return tuple(sorted((self.path(name) for name in field.value), key=repr))
        return self.path(field.value)

    def path(self, value: object) -> object:
        """As the script wrote it: two plays of one script have the same form."""
        if isinstance(value, str) and value.startswith(self._root):
            return "~" + value[len(self._root) :]
        return value


def positive(value: object) -> bool:
    return isinstance(value, int) and value > 0


def normal_form(player: Player, script: ZooKeeperScript, *, event_zxids: bool, ended_ms: int) -> list[Line]:
    renaming = Renaming(player, event_zxids=event_zxids, ended_ms=ended_ms)
    newest: dict[int, int] = {}
    lines = []
    for heard in player.heard:
        fields: list[tuple[str, object]] = []
        if heard.zxid is not None:
            back = 0 < heard.zxid < newest.get(heard.client, 0)
            fields.append(("zxid", "goes back" if back else renaming.reached(heard.zxid)))
            newest[heard.client] = max(newest.get(heard.client, 0), heard.zxid)
        for field in heard.fields:
            if heard.is_event and field.name == "zxid" and not event_zxids:
                continue
            fields.append((field.name, renaming.field(field)))
        lines.append(Line(heard.step, heard.client, heard.about, tuple(fields), heard.request))
    return unordered_ends(lines, script)


def unordered_ends(lines: list[Line], script: ZooKeeperScript) -> list[Line]:
    """Sort each run of notifications heard in a step that ends a session."""
    ending = {number for number, step in enumerate(script.steps) if ends_a_session(step)}
    ordered: list[Line] = []
    runs = itertools.groupby(lines, key=lambda line: (line.step, line.client, line.about))
    for (step, _, about), group in runs:
        run = list(group)
        if step in ending and about == "notification":
            run.sort(key=repr)
        ordered += run
    return ordered


def ends_a_session(step: object) -> bool:
    return isinstance(step, Renew) or (
        isinstance(step, Send) and any(isinstance(request, CloseSession) for request in step.requests)
    )


# --- comparing ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """A difference that is meant to be there.  `explains` sees the difference; the reason is for the
    reader."""

    reason: str
    explains: Callable[[Difference], bool]


def odd_creation_in_multi(difference: Difference) -> bool:
    """A multi with a creation whose flags fit no mode of its operation, or with a null access list."""
    request = difference.request
    if not isinstance(request, Multi) or (difference.field, difference.left) != ("err", -5):
        return False
    creations = [operation for operation in request.operations if isinstance(operation, Create)]
    return any(c.acl is None or (c.operation != 21 and c.flags not in range(5)) for c in creations)


def null_path(difference: Difference) -> bool:
    """A single write of a null path."""
    path = getattr(difference.request, "path", "")
    return path is None and (difference.field, difference.left, difference.right) == ("err", -8, -5)


KNOWN: tuple[Known, ...] = (
    Known(
        "a null path: to ZooKeeper it is undecodable (-5) or a bad argument (-8), depending on the operation"
        " and on what else is wrong; to us it is always undecodable",
        null_path,
    ),
    Known(
        "a creation with impossible flags or a null access list inside a multi: ZooKeeper 3.8 and 3.9"
        " disagree among themselves whether the whole request is undecodable (-5) or the one operation is"
        " refused (-8, -114); we always refuse the operation, as outside of a multi",
        odd_creation_in_multi,
    ),
)
"""Differences between a recent ZooKeeper and ours that we decided on.

Some things are never generated, because the two servers would go different ways after them:

* deleteContainer from a client, which ZooKeeper obeys and we refuse;
* createTTL without a TTL mode, which stops a real server for good, and which we refuse;
* setWatches for nodes which the client may not read: ZooKeeper tells what was missed there, which it would
  not have told at the time; we never do.

What depends on the version of the real server is in `PeerTraits`.
"""


@dataclass(frozen=True)
class PeerTraits:
    """What a comparison has to know about the version of the real ZooKeeper."""

    version: tuple[int, ...]

    @property
    def event_zxids(self) -> bool:
        """Notifications carry the transaction id since 3.9.0, -1 before."""
        return self.version >= (3, 9)

    @property
    def modes_share_a_path(self) -> bool:
        """Before 3.9 a second kind of watch on the same path replaces the mode of the first
        (ZOOKEEPER-4466)."""
        return self.version >= (3, 9)

    @property
    def multi_keeps_operations_apart(self) -> bool:
        """3.8 answers a create2 inside a multi as a create, and createContainer by its flags; and it puts a
        body behind an error where it finds a null path."""
        return self.version >= (3, 9)

    @property
    def persistent_watches_are_a_kind(self) -> bool:
        """3.8 takes a persistent watch away with the data watches, and finds those of other clients."""
        return self.version >= (3, 9)

    @property
    def exists_needs_permission(self) -> bool:
        """Since 3.9 `exists` needs READ, as all other reads do."""
        return self.version >= (3, 9)

    @property
    def answers_a_lone_check(self) -> bool:
        """3.9 says `unimplemented` to a check outside of a multi; 3.8 says nothing, for ever."""
        return self.version >= (3, 9)


def differences(left: Sequence[Line], right: Sequence[Line]) -> list[Difference]:
    """Everything that differs and is not `KNOWN`, step by step, each client's lines paired in order."""
    found: list[Difference] = []
    places = sorted({(line.step, line.client) for line in [*left, *right]})
    left_at, right_at = by_place(left), by_place(right)
    for place in places:
        for one, other in itertools.zip_longest(left_at.get(place, []), right_at.get(place, [])):
            found += line_differences(place, one, other)
    return [d for d in found if not any(known.explains(d) for known in KNOWN)]


def by_place(lines: Sequence[Line]) -> dict[tuple[int, int], list[Line]]:
    places: dict[tuple[int, int], list[Line]] = {}
    for line in lines:
        places.setdefault((line.step, line.client), []).append(line)
    return places


def line_differences(place: tuple[int, int], left: Line | None, right: Line | None) -> list[Difference]:
    step, client = place
    if left is None or right is None:
        present = left or right
        assert present is not None
        return [Difference(step, client, present.about, "(whole line)", show(left), show(right))]
    if left.about != right.about:
        return [Difference(step, client, left.about, "(what came)", show(left), show(right))]
    if [name for name, _ in left.fields] != [name for name, _ in right.fields]:
        codes = dict(left.fields).get("err"), dict(right.fields).get("err")
        if codes[0] != codes[1] and None not in codes:
            return [Difference(step, client, left.about, "err", *codes, left.request)]
        return [Difference(step, client, left.about, "(fields)", show(left), show(right))]
    return [
        Difference(step, client, left.about, name, one, other, left.request)
        for (name, one), (_, other) in zip(left.fields, right.fields, strict=True)
        if one != other
    ]


def show(line: Line | None) -> str:
    if line is None:
        return "nothing"
    return f"{line.about}: " + ", ".join(f"{name}={value!r}" for name, value in line.fields)
