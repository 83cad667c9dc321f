"""Draws scripts: few keys, so that requests meet; all options, and now and then what must be refused.

Not drawn, because the two would go different ways without being wrong: what stops a real server
(`sort_target` without a meaning), leases short enough to end while a script runs, and progress requests on a
stream whose watches may still be catching up, which a real server answers or not as it happens.
"""

from __future__ import annotations

import random
from typing import Any

from tests.differential.etcd.script import STREAMS, AnyStep, Call, Cancel, EtcdScript, Fields, Progress, Watch

WRITTEN = ("a", "b", "ba", "b\xff", "\x00", "\xff")
"""Six: a real server sorts so few so that those which are equal stay as they were."""
KEYS = (*WRITTEN, "bb", "c")
ENDS = ("b", "bb", "c", "d", "\x00", "a", "\xff")
VALUES = ("", "1", "2", "10", "x" * 20)
LEASES = (1, 2, 3, -4)
TARGETS = ("version", "create_revision", "mod_revision", "value", "lease")


class Generator:
    def __init__(self, seed: str) -> None:
        self.seed = seed
        self._dice = random.Random(seed)
        self._writes = 0
        self._watches: list[list[Fields]] = [[] for _ in range(STREAMS)]

    def script(self, most: int = 25) -> EtcdScript:
        length = self._dice.randint(3, most)
        return EtcdScript(self.seed, tuple(self._step() for _ in range(length)))

    def _chance(self, share: float) -> bool:
        return self._dice.random() < share

    def _step(self) -> AnyStep:
        draws = (
            (30, self._put),
            (18, self._range),
            (8, self._delete),
            (22, self._transaction),
            (4, self._compaction),
            (6, self._grant),
            (8, self._lease),
            (8, self._watch),
            (2, self._cancel),
            (2, self._progress),
        )
        (draw,) = self._dice.choices([draw for _, draw in draws], [weight for weight, _ in draws])
        return draw()

    # --- keys ---

    def _key(self) -> str:
        return "" if self._chance(0.01) else self._dice.choice(KEYS)

    def _where(self, ranges: float) -> Fields:
        fields: Fields = {"key": self._key()}
        if self._chance(ranges):
            fields["range_end"] = self._dice.choice(ENDS)
        return fields

    def _revision(self) -> Any:
        """Mostly one of this script; sometimes before it, in the future, or nonsense."""
        kind = self._dice.random()
        if kind < 0.85:
            return f"@{self._dice.randint(0, max(self._writes, 1))}"
        if kind < 0.95:
            return self._dice.choice(("@-1", "@1000"))
        return self._dice.choice((0, -5))

    def put_fields(self) -> Fields:
        key = "" if self._chance(0.01) else self._dice.choice(WRITTEN)
        fields: Fields = {"key": key, "value": self._dice.choice(VALUES)}
        if self._chance(0.25):
            fields["lease"] = self._dice.choice((*LEASES, 99))
        if self._chance(0.3):
            fields["prev_kv"] = True
        if self._chance(0.08):
            fields["ignore_value"] = True
            if self._chance(0.9):
                del fields["value"]
        if self._chance(0.08):
            fields["ignore_lease"] = True
            if self._chance(0.9):
                fields.pop("lease", None)
        return fields

    def _put(self) -> AnyStep:
        self._writes += 1
        return Call("Put", self.put_fields())

    def range_fields(self) -> Fields:
        fields = self._where(0.7)
        if self._chance(0.3):
            fields["limit"] = self._dice.choice((1, 2, 3, 5, -1))
        if self._chance(0.3):
            fields["revision"] = self._revision()
        if self._chance(0.3):
            fields["sort_order"] = self._dice.randint(0, 2)
            fields["sort_target"] = self._dice.randint(0, 4)
        for option in ("serializable", "keys_only", "count_only"):
            if self._chance(0.12):
                fields[option] = True
        for bound in ("min_mod", "max_mod", "min_create", "max_create"):
            if self._chance(0.07):
                fields[f"{bound}_revision"] = self._revision()
        return fields

    def _range(self) -> AnyStep:
        return Call("Range", self.range_fields())

    def delete_fields(self) -> Fields:
        fields = self._where(0.3)
        if self._chance(0.4):
            fields["prev_kv"] = True
        return fields

    def _delete(self) -> AnyStep:
        self._writes += 1
        return Call("DeleteRange", self.delete_fields())

    # --- transactions ---

    def _transaction(self) -> AnyStep:
        self._writes += 1
        fields = self._transaction_fields(0)
        if _has(fields, "request_delete_range"):
            # A put that keeps the value of a key which was deleted just before it is an entry of the log that
            # etcd 3.5.1 cannot apply: the server ends, and ends again whenever it is started.
            _drop(fields, "ignore_value", "ignore_lease")
        return Call("Txn", fields)

    def _transaction_fields(self, depth: int) -> Fields:
        fields: Fields = {}
        if compares := [self._compare() for _ in range(self._dice.choice((0, 1, 1, 2, 3)))]:
            fields["compare"] = compares
        for branch in ("success", "failure"):
            most = self._dice.choice((0, 1, 2, 3, 4))
            if operations := [self._operation(depth) for _ in range(most)]:
                fields[branch] = operations
        return fields

    def _compare(self) -> Fields:
        number = self._dice.randrange(len(TARGETS))
        fields: Fields = {"result": self._dice.randint(0, 3), "target": number, **self._where(0.25)}
        if self._chance(0.95):
            name = TARGETS[number]
            values: dict[str, Any] = {
                "version": self._dice.randint(0, 3),
                "create_revision": self._dice.choice((0, self._revision())),
                "mod_revision": self._dice.choice((0, self._revision())),
                "value": self._dice.choice(VALUES),
                "lease": self._dice.choice((0, *LEASES)),
            }
            fields[name] = values[name]
        return fields

    def _operation(self, depth: int) -> Fields:
        kind = self._dice.random()
        if kind < 0.4:
            return {"request_put": self.put_fields()}
        if kind < 0.65:
            return {"request_range": self.range_fields()}
        if kind < 0.85:
            return {"request_delete_range": self.delete_fields()}
        if kind < 0.99 and depth < 2:
            return {"request_txn": self._transaction_fields(depth + 1)}
        return {} if kind >= 0.99 else {"request_range": self.range_fields()}

    # --- the rest ---

    def _compaction(self) -> AnyStep:
        fields: Fields = {"revision": self._revision()}
        if self._chance(0.3):
            fields["physical"] = True
        return Call("Compact", fields)

    def _grant(self) -> AnyStep:
        if self._chance(0.1):
            return Call("LeaseGrant", {"TTL": self._dice.choice((0, -5, 9_000_000_001, 600))})
        return Call("LeaseGrant", {"ID": self._dice.choice(LEASES), "TTL": self._dice.choice((300, 600))})

    def _lease(self) -> AnyStep:
        number = self._dice.choice((*LEASES, 99))
        kind = self._dice.randrange(5)
        if kind == 0:
            return Call("LeaseRevoke", {"ID": number})
        if kind == 1:
            return Call("LeaseKeepAlive", {"ID": number})
        if kind == 2:
            return Call("LeaseLeases")
        return Call("LeaseTimeToLive", {"ID": number, "keys": self._chance(0.7)})

    def _watch(self) -> AnyStep:
        stream = self._dice.randrange(STREAMS)
        fields = self._where(0.6)
        if self._chance(0.4):
            # Of a negative one etcd says within 100 ms that it is compacted, and until then it is a watch.
            begin = self._dice.choice((self._revision(), f"@{self._writes + 2}"))
            fields["start_revision"] = 0 if begin == -5 else begin
        if self._chance(0.4):
            fields["prev_kv"] = True
        if self._chance(0.2):
            fields["filters"] = self._dice.choice(([0], [1], [0, 1]))
        if self._chance(0.1):
            fields["watch_id"] = self._dice.choice((1, 2, 7))
        if self._chance(0.2):
            fields["progress_notify"] = True
        if self._chance(0.1):
            fields["fragment"] = True
        self._watches[stream].append(fields)
        return Watch(stream, fields)

    def _cancel(self) -> AnyStep:
        stream = self._dice.randrange(STREAMS)
        return Cancel(stream, self._dice.choice((0, 0, 1, 2, 7)))

    def _progress(self) -> AnyStep:
        streams = [
            number
            for number, watches in enumerate(self._watches)
            if watches and not any("start_revision" in fields for fields in watches)
        ]
        return Progress(self._dice.choice(streams)) if streams else self._range()


def _has(what: Any, name: str) -> bool:
    if isinstance(what, dict):
        return name in what or any(_has(each, name) for each in what.values())
    return isinstance(what, list) and any(_has(each, name) for each in what)


def _drop(what: Any, *names: str) -> None:
    if isinstance(what, dict):
        for name in names:
            what.pop(name, None)
    for each in what.values() if isinstance(what, dict) else what if isinstance(what, list) else ():
        _drop(each, *names)
