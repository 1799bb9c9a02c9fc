"""A report is written whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import get_args

import pytest

from reconciler.errors import StoreError
from reconciler.report import Format, build, write
from tests.report.made_up import finding, run

FORMATS: tuple[Format, ...] = get_args(Format)


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_same_report_is_the_same_file(fmt: Format, tmp_path: Path) -> None:
    model = build(run(), [finding(n) for n in range(5)], time_zone="Europe/Amsterdam")
    for name in ("a", "b"):
        write(model, fmt, tmp_path / "new" / name)
    assert (tmp_path / "new/a").read_bytes() == (tmp_path / "new/b").read_bytes()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a", "b"]


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_full_disk_leaves_the_old_report_and_no_draft(
    fmt: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "report"
    target.write_text("the old one")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left") as refused:
        write(build(run(), [finding(1)], time_zone="UTC"), fmt, target)
    assert "space" in refused.value.advice
    assert target.read_text() == "the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_file_cut_off_while_it_is_written_leaves_nothing(tmp_path: Path) -> None:
    model = build(run(), [finding(1)], time_zone="UTC")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(StoreError, match="File too large"):
            write(model, "html", tmp_path / "report.html")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(StoreError, match=r"report\.html could not be written"):
        write(build(run(), [], time_zone="UTC"), "html", tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_a_parent_that_is_a_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        write(build(run(), [], time_zone="UTC"), "json", tmp_path / "file" / "report.json")


def test_a_folder_that_cannot_be_written_is_a_store_error() -> None:
    with pytest.raises(StoreError):  # not even root writes there
        write(build(run(), [], time_zone="UTC"), "csv", Path("/proc/report.csv"))
