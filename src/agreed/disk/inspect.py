"""A data directory for human eyes: what is in it, and whether a node could start on it.

Nothing is changed and nothing is locked, so it may be used beside a running node.  What that node is writing
at the moment may then look like a write that never finished.

`describe` makes a `Report`; it goes on behind damage as far as anything can be read, because somebody who
looks here has usually lost something.  `render` makes text of it.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from agreed.consensus.machine import Ballot
from agreed.disk.files import Files, RealFiles, disk_failure
from agreed.disk.identity import DirectoryIdentity, read_identity
from agreed.disk.payloads import decode_log_start, decode_saves, decode_segment_header
from agreed.disk.record import Damage, Record, RecordKind
from agreed.disk.replay import Replay, replay_log
from agreed.disk.segments import SegmentEnd, read_segment, segment_numbers, segment_path
from agreed.disk.snapshots import Snapshots, is_unfinished, receiving_index, snapshot_path
from agreed.errors import AgreedError, ConfigurationError, CorruptData
from agreed.types import Index, Term


class SegmentReport(msgspec.Struct):
    """One log file.  `used` bytes of `size` hold records that verify."""

    name: str
    size: int
    used: int = 0
    records: int = 0
    first_index: Index | None = None
    last_index: Index | None = None
    terms: list[Term] = msgspec.field(default_factory=list)
    damage: str | None = None
    lines: list[str] = msgspec.field(default_factory=list)
    """One a record or entry, if asked for."""


class SnapshotReport(msgspec.Struct):
    """`problem` None: every byte verifies, and `digest` is the SHA-256 of its payload in hexadecimal."""

    name: str
    index: Index
    term: Term
    size: int
    members: list[str]
    digest: str
    problem: str | None


class Report(msgspec.Struct):
    directory: str
    identity: DirectoryIdentity | None
    ballot: Ballot | None
    """As of the end of the log; None where that can not be read."""
    log_after: tuple[Index, Term] | None
    """The entry before the first one in the log."""
    log_end: tuple[Index, Term] | None
    segments: list[SegmentReport]
    snapshots: list[SnapshotReport]
    unfinished: list[str]
    repairs: list[str]
    """What a start would repair."""
    problems: list[str]
    """Why a node would refuse to start, or what it would have to do without."""


def describe(directory: Path, files: Files | None = None, *, entries: bool = False) -> Report:
    """Read everything, change nothing.  Raises ConfigurationError (no such directory), DiskFailed."""
    files = files or RealFiles()
    with disk_failure(directory, "listing"):
        try:
            names = files.names(directory)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigurationError(f"{directory} is not a directory") from error
    numbers = segment_numbers(names)
    report = Report(
        directory=str(directory),
        identity=None,
        ballot=None,
        log_after=None,
        log_end=None,
        segments=[_segment(directory, files, number, number == numbers[-1], entries) for number in numbers],
        snapshots=_snapshots(directory, files),
        unfinished=[name for name in names if is_unfinished(name) or receiving_index(name) is not None],
        repairs=[],
        problems=[],
    )
    _judge(report, directory, files)
    return report


def _judge(report: Report, directory: Path, files: Files) -> None:
    """Whether a node could start, by the code by which it would."""
    try:
        report.identity = read_identity(directory, files)
        if report.identity is None:
            report.problems.append("the file identity is missing")
    except AgreedError as error:
        report.problems.append(str(error))
    report.problems += [f"{each.name}, {each.problem}" for each in report.snapshots if each.problem]
    reaches_to = max((each.index for each in report.snapshots if each.problem is None), default=0)
    try:
        replay = replay_log(directory, files, reaches_to)
    except AgreedError as error:
        report.problems.append(str(error))
        return
    if replay is None:
        report.problems.append("there is no log")
        return
    _judge_log(report, replay, reaches_to)


def _judge_log(report: Report, replay: Replay, reaches_to: Index) -> None:
    extent = replay.extent
    report.ballot = replay.ballot
    report.log_after = extent.base_index, extent.term_at(extent.base_index) or 0
    report.log_end = extent.last_index, extent.last_term
    if extent.base_index > reaches_to:
        report.problems.append(
            f"the log begins after entry {extent.base_index}, but the newest sound snapshot ends with "
            f"{reaches_to}"
        )
    if report.identity is not None and report.identity.identity != replay.identity:
        report.problems.append(f"the log belongs to another data directory ({replay.identity:016x})")
    if replay.torn is not None:
        where = f"offset {replay.torn.offset} of {replay.torn.path.name}"
        report.repairs.append(f"a write at {where} never finished")
    report.repairs += [f"log file {number} is superfluous" for number in replay.leftover]


def _segment(directory: Path, files: Files, number: int, last: bool, entries: bool) -> SegmentReport:
    path = segment_path(directory, number)
    with disk_failure(path, "reading"):
        file = files.open_for_reading(path)
        try:
            report = SegmentReport(path.name, file.size())
            for found in read_segment(file, number, last):
                if isinstance(found, SegmentEnd):
                    report.used = found.offset
                    if found.damage is not None:
                        what = "torn" if found.damage is Damage.TORN else "corrupt"
                        report.damage = f"{what} at offset {found.offset}: {found.reason}"
                    break
                report.records += 1
                try:
                    for line in _read_record(report, found.record):
                        if entries:
                            report.lines.append(f"{found.offset:>10}  {line}")
                except ValueError as error:
                    report.damage = f"corrupt at offset {found.offset}: {error}"
        finally:
            file.close()
    return report


def _read_record(report: SegmentReport, record: Record) -> Iterator[str]:
    match record.kind:
        case RecordKind.SEGMENT:
            header = decode_segment_header(record.payload)
            yield (
                f"log file of {header.identity:016x}, after entry {header.previous_index} of term "
                f"{header.previous_term}, {_ballot(header.ballot)}"
            )
        case RecordKind.LOG_START:
            index, term = decode_log_start(record.payload)
            yield f"all before is void: a snapshot up to entry {index} of term {term} was installed"
        case RecordKind.SAVES:
            for ballot, entries in decode_saves(record.payload):
                yield _ballot(ballot)
                for entry in entries:
                    report.first_index = min(report.first_index or entry.index, entry.index)
                    report.last_index = max(report.last_index or 0, entry.index)
                    if entry.term not in report.terms:
                        report.terms.append(entry.term)
                    size = len(entry.payload)
                    yield f"  entry {entry.index} of term {entry.term}, {entry.kind.name}, {size} bytes"


def _snapshots(directory: Path, files: Files) -> list[SnapshotReport]:
    snapshots = Snapshots(directory, files)
    reports = []
    for name in snapshots.list():
        path = snapshot_path(directory, name)
        try:
            loaded = snapshots.load(name.index)
            members = [member.name for member in loaded.mark.members.voters]
            members += [f"{member.name} (learner)" for member in loaded.mark.members.learners]
            digest, problem = loaded.digest.hex(), None
        except CorruptData as error:
            members, digest, problem = [], "", str(error).removeprefix(f"{path}, ")
        with disk_failure(path, "reading"):
            file = files.open_for_reading(path)
            size = file.size()
            file.close()
        reports.append(SnapshotReport(path.name, name.index, name.term, size, members, digest, problem))
    return reports


def render(report: Report) -> str:
    """Text for a terminal, a line ending in it after each line."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"data directory  {report.directory}"
    identity = report.identity
    if identity is not None:
        yield f"identity        {identity.identity:016x}, node {identity.name}, life {identity.life}"
        yield "cluster         " + (f"{identity.cluster:016x}" if identity.cluster else "not known yet")
    if report.ballot is not None:
        yield f"ballot          {_ballot(report.ballot)}"
    if report.log_after is not None and report.log_end is not None:
        (after, after_term), (last, last_term) = report.log_after, report.log_end
        here = f"entries {after + 1} to {last} (term {last_term})" if last > after else "empty"
        yield f"log             {here}, after entry {after} of term {after_term}"
    for segment in report.segments:
        where = "no entries"
        if segment.first_index is not None:
            terms = ", ".join(map(str, segment.terms))
            where = f"entries {segment.first_index} to {segment.last_index} of terms {terms}"
        size = f"{segment.size} bytes, {segment.used} used"
        yield f"  {segment.name}  {size}, {segment.records} records, {where}"
        if segment.damage is not None:
            yield f"    {segment.damage}"
        yield from (f"    {line}" for line in segment.lines)
    yield "snapshots" if report.snapshots else "snapshots       none"
    for snapshot in report.snapshots:
        yield f"  {snapshot.name}  {snapshot.size} bytes, {'BAD' if snapshot.problem else 'ok'}"
        if snapshot.problem:
            yield f"    {snapshot.problem}"
        else:
            yield f"    sha256 {snapshot.digest}, members {', '.join(snapshot.members)}"
    yield from (f"unfinished      {name}" for name in report.unfinished)
    yield from (f"would repair    {repair}" for repair in report.repairs)
    yield from (f"PROBLEM         {problem}" for problem in report.problems)
    if not report.problems:
        yield "a node can start on this"


def _ballot(ballot: Ballot) -> str:
    return f"term {ballot.term}, " + ("no vote" if ballot.vote is None else f"voted for {ballot.vote}")
