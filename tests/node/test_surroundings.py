"""`srvr` looks into the data directory while a snapshot is getting its name there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agreed.node.start import surroundings


def test_a_file_that_goes_while_one_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.wal").write_bytes(bytes(100))
    (tmp_path / "1.snapshot.new").write_bytes(bytes(100))
    real = os.scandir

    def scandir(path: Path) -> list[os.DirEntry[str]]:
        entries = list(real(path))
        (tmp_path / "1.snapshot.new").unlink()
        return entries

    monkeypatch.setattr("agreed.node.start.os.scandir", scandir)
    assert surroundings(tmp_path)().data_bytes == 100


def test_a_directory_that_cannot_be_looked_at_does_no_harm(tmp_path: Path) -> None:
    """Whoever asks for `mntr` must not end the node."""
    assert surroundings(tmp_path / "gone")().data_bytes == 0
