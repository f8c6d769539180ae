"""The gateway's reading of LinuxCNC's status, with a status of the test's own; and the settings."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from cnc_bridge.config import ConfigError, parse
from cnc_bridge.drivers.linuxcnc.driver import _command
from cnc_bridge.drivers.linuxcnc.gateway import Execution
from cnc_bridge.drivers.linuxcnc.settings import Settings

WORDS = SimpleNamespace(INTERP_IDLE=1, INTERP_PAUSED=3, MODE_AUTO=2, EXEC_DONE=2, RCS_ERROR=3)
"""As LinuxCNC 2.9 numbers them."""
M30 = (4, 30, 5, -1, 9, -1, 48, -1, 53, 0)
NO_END = (3, -1, 4, -1, 9, -1, 48, -1, 53, 0)


@dataclass
class FakeStat:
    """What the gateway looks at, as a real LinuxCNC showed it in a cut."""

    interp_state: int = 4
    task_mode: int = 2
    task_paused: int = 0
    exec_state: int = 3
    state: int = 2
    file: str = "/nc/part.ngc"
    command: str = "M30"
    queue: int = 2
    mcodes: tuple[int, ...] = NO_END
    interpreter_errcode: int = 0


IDLE: dict[str, Any] = {"interp_state": 1, "exec_state": 2, "state": 1, "queue": 0}


def words(*seen: FakeStat) -> tuple[list[str | None], int]:
    """The word after each poll, and the parts counted."""
    execution = Execution(0)
    said = []
    for stat in seen:
        execution.see(stat, WORDS)
        said.append(execution.word)
    return said, execution.completed


def test_m30_completes_the_programme_and_counts_one() -> None:
    before = FakeStat(**IDLE, command="")
    assert words(before, FakeStat(), FakeStat(**IDLE, mcodes=M30)) == (["READY", "ACTIVE", "PROGRAM_COMPLETED"], 1)


def test_an_abort_is_no_part() -> None:
    assert words(FakeStat(), FakeStat(**IDLE, command="", mcodes=M30)) == (["ACTIVE", "STOPPED"], 0)


def test_an_error_after_m30_was_read_ahead_is_no_part() -> None:
    assert words(FakeStat(), FakeStat(**{**IDLE, "state": 3}, mcodes=M30)) == (["ACTIVE", "STOPPED"], 0)


def test_m_codes_that_follow_one_cycle_later_are_waited_for() -> None:
    seen = (FakeStat(), FakeStat(**IDLE), FakeStat(**IDLE, mcodes=M30))
    assert words(*seen) == (["ACTIVE", "ACTIVE", "PROGRAM_COMPLETED"], 1)


def test_a_file_that_ends_by_a_percent_sign_is_a_part() -> None:
    assert words(FakeStat(), FakeStat(**IDLE), FakeStat(**IDLE))[1] == 1


def test_a_file_that_the_interpreter_could_not_read_to_its_end_is_no_part() -> None:
    idle = FakeStat(**IDLE, interpreter_errcode=5)
    assert words(FakeStat(interpreter_errcode=5), idle, idle) == (["ACTIVE", "ACTIVE", "STOPPED"], 0)


def test_a_hand_that_pauses_is_a_feed_hold_and_m0_a_programme_stop() -> None:
    held, at_m0 = FakeStat(task_paused=1), FakeStat(task_paused=1, queue=0, exec_state=2)
    assert words(FakeStat(), held, FakeStat())[0] == ["ACTIVE", "FEED_HOLD", "ACTIVE"]
    assert words(FakeStat(), at_m0, at_m0)[0] == ["ACTIVE", "PROGRAM_STOPPED", "PROGRAM_STOPPED"]
    assert words(FakeStat(), held, at_m0)[0][-1] == "FEED_HOLD", "a dwell that ends while held is no M0"


def test_a_line_typed_by_hand_is_no_part() -> None:
    assert words(FakeStat(task_mode=3), FakeStat(**IDLE, task_mode=3)) == (["ACTIVE", "READY"], 0)


def test_what_ended_stays_said_until_another_programme_or_mode() -> None:
    ended = FakeStat(**IDLE, mcodes=M30)
    assert words(FakeStat(), ended, ended)[0][-1] == "PROGRAM_COMPLETED"
    assert words(FakeStat(), ended, FakeStat(**IDLE, file="/nc/other.ngc"))[0][-1] == "READY"
    assert words(FakeStat(), ended, FakeStat(**IDLE, task_mode=1))[0][-1] == "READY"


def test_a_start_is_told_once() -> None:
    execution = Execution(0)
    seen = [FakeStat(**IDLE), FakeStat(), FakeStat(), FakeStat(task_paused=1), FakeStat()]
    assert [execution.see(stat, WORDS) for stat in seen] == [False, True, False, False, False]


def settings(**table: Any) -> Settings:
    driver = parse({"machine": {"id": "m"}, "driver": {"kind": "linuxcnc", **table}}).driver
    assert isinstance(driver, Settings)
    return driver


def test_signals_go_over_the_defaults() -> None:
    signals = settings(
        signals={"spindle_load": "hal:vfd.load", "x_position": {"key": "position.x", "unit": "mm"}}
    ).signals
    assert signals["spindle_load"].key == "hal:vfd.load"
    assert signals["execution"].key == "execution"
    assert "tool" not in settings(signals={"tool": ""}).signals


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"signals": {"tool": "toool"}}, "is not read from LinuxCNC"),
        ({"extensions": ["ngc"]}, "write it like .ngc"),
        ({"user": "Root; rm"}, "user"),
        ({"period_s": 0.0}, "period_s"),
    ],
)
def test_a_wrong_setting_is_explained(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(**table)


def test_nothing_is_allowed_unless_said() -> None:
    assert settings().allow == ()


def test_ssh_gets_one_quoted_word_and_its_host_is_the_address() -> None:
    config = settings(command=["ssh", "-o", "BatchMode=yes", "cnc@10.0.0.7"], user="cnc")
    command = _command(config)
    assert command[:4] == ["ssh", "-o", "BatchMode=yes", "cnc@10.0.0.7"]
    assert command[4].startswith("sudo -n -H -u cnc /usr/bin/python3 -u -c '")
    assert len(command) == 5
    assert config.address == "linuxcnc at 10.0.0.7"
