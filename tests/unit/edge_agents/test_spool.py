from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_agents.spool import Pair, Spool, SpoolError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PAIR = Pair(b"\xff\xd8\xffbefore", b"\xff\xd8\xffafter", NOW)


class FakeTime:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def spool(directory: Path, time: FakeTime, max_bytes: int = 10**6) -> Spool:
    return Spool(directory / "pictures", directory / "pictures.key", max_bytes, time)


def test_a_pair_comes_back_whole_and_nothing_of_it_can_be_read_on_the_disk(tmp_path: Path) -> None:
    kept = spool(tmp_path, FakeTime())
    crops = kept.keep(PAIR, timedelta(hours=1))
    (file,) = (tmp_path / "pictures").iterdir()
    assert b"before" not in file.read_bytes()
    assert b"\xff\xd8\xff" not in file.read_bytes()
    assert (tmp_path / "pictures.key").stat().st_mode & 0o777 == 0o600
    again = spool(tmp_path, FakeTime())
    (entry,) = again.waiting()
    assert (entry.id, again.read(entry)) == (crops, PAIR)
    again.drop(crops)
    assert again.waiting() == []


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b"", lambda b: b[:20] + bytes([b[20] ^ 1]) + b[21:]])
def test_a_damaged_pair_is_said(tmp_path: Path, spoil: object) -> None:
    kept = spool(tmp_path, FakeTime())
    kept.keep(PAIR, timedelta(hours=1))
    (entry,) = kept.waiting()
    entry.path.write_bytes(spoil(entry.path.read_bytes()))  # type: ignore[operator]  # a lambda of the list above
    with pytest.raises(SpoolError):
        kept.read(entry)


def test_a_pair_renamed_to_live_longer_or_under_another_name_cannot_be_read(tmp_path: Path) -> None:
    kept = spool(tmp_path, FakeTime())
    crops = kept.keep(PAIR, timedelta(hours=1))
    (entry,) = kept.waiting()
    entry.path.rename(entry.path.with_name(f"{entry.expires + 600}-{crops}"))
    (entry,) = kept.waiting()
    with pytest.raises(SpoolError):
        kept.read(entry)


def test_pictures_are_over_in_time_and_never_later_than_72_hours(tmp_path: Path) -> None:
    time = FakeTime()
    kept = spool(tmp_path, time)
    kept.keep(PAIR, timedelta(minutes=10))
    kept.keep(PAIR, timedelta(days=30))
    assert len(kept.waiting()) == 2
    time.now = NOW + timedelta(minutes=10)
    assert len(kept.waiting()) == 1
    assert kept.purge() == 1
    time.now = NOW + timedelta(hours=72)
    assert kept.waiting() == []
    assert kept.purge() == 1
    assert list((tmp_path / "pictures").iterdir()) == []


def test_a_clock_that_went_back_keeps_no_picture_for_ever(tmp_path: Path) -> None:
    time = FakeTime()
    kept = spool(tmp_path, time)
    kept.keep(PAIR, timedelta(hours=72))
    time.now = NOW - timedelta(days=400)
    assert kept.waiting() == []
    assert kept.purge() == 1


def test_what_a_power_cut_left_is_purged_and_nothing_else(tmp_path: Path) -> None:
    """A folder that holds other things too, by a slip of the configuration, loses none of them."""
    kept = spool(tmp_path, FakeTime())
    kept.keep(PAIR, timedelta(hours=1))
    (entry,) = kept.waiting()
    entry.path.with_name(f"{entry.path.name}.part").write_bytes(b"half a pair")
    (tmp_path / "pictures" / "thesis.odt").write_bytes(b"x")
    (tmp_path / "pictures" / "family").mkdir()
    assert kept.purge() == 1
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {entry.path.name, "thesis.odt", "family"}


def test_a_full_spool_gives_up_what_would_be_over_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = spool(tmp_path, FakeTime(), max_bytes=300)
    automatic = kept.keep(PAIR, timedelta(minutes=10))
    doubtful = [kept.keep(PAIR, timedelta(hours=72)) for _ in range(3)]
    with caplog.at_level(logging.WARNING):
        assert automatic not in {entry.id for entry in kept.waiting()}
    assert kept.used <= 300
    assert doubtful[-1] in {entry.id for entry in kept.waiting()}
    with pytest.raises(SpoolError, match="larger than the whole spool"):
        kept.keep(Pair(os.urandom(500), b"", NOW), timedelta(hours=1))


def test_a_folder_that_cannot_be_made_is_said_and_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file")
    with pytest.raises(SpoolError):
        spool(tmp_path, FakeTime()).keep(PAIR, timedelta(hours=1))


def test_a_spoilt_key_is_put_aside_and_an_open_one_is_closed(tmp_path: Path) -> None:
    kept = spool(tmp_path, FakeTime())
    kept.keep(PAIR, timedelta(hours=1))
    (tmp_path / "pictures.key").chmod(0o644)
    again = spool(tmp_path, FakeTime())
    assert again.read(again.waiting()[0]) == PAIR
    assert (tmp_path / "pictures.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "pictures.key").write_bytes(b"short")
    third = spool(tmp_path, FakeTime())
    with pytest.raises(SpoolError):
        third.read(third.waiting()[0])
    assert (tmp_path / "pictures.key.damaged").read_bytes() == b"short"
    crops = third.keep(PAIR, timedelta(hours=1))
    assert [third.read(entry) for entry in third.waiting() if entry.id == crops] == [PAIR]
