"""`copeau cnc guard` over the real recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cnc_bridge.replay import OKUMA
from copeau.commands.cnc import command

TELEMETRY = Path(__file__).parents[4] / "shared" / "data" / "telemetry"
UMICH = TELEMETRY / "umich-cnc-mill"
has_data = pytest.mark.skipif(not TELEMETRY.is_dir(), reason=f"the recordings are not here: {TELEMETRY}")


def guard(*arguments: object) -> Result:
    return CliRunner().invoke(command, ["guard", *map(str, arguments)])


def verdicts(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def raised(text: str, key: str, factor: float, begin: int, count: int) -> str:
    """`count` of the values of `key`, from the `begin`-th on, replaced by `factor`."""
    lines, seen = text.split("\n"), 0
    for at, line in enumerate(lines):
        fields = line.split("|")
        if key in fields[1::2]:
            seen += 1
            if begin <= seen < begin + count:
                fields[2 * fields[1::2].index(key) + 2] = str(factor)
                lines[at] = "|".join(fields)
    return "\n".join(lines)


def test_a_real_lathe_that_cuts_well_is_left_alone() -> None:
    assert [v for v in verdicts(guard(OKUMA, "--json")) if v["level"] != "watch"] == []
    assert verdicts(guard(OKUMA, "--learn", OKUMA, "--json")) == []


def test_a_load_put_into_it_is_found_with_its_figures(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text(raised(OKUMA.read_text(encoding="utf-8", errors="replace"), "S1load", 190, 100, 8), encoding="utf-8")
    found = verdicts(guard(bad, "--learn", OKUMA, "--json"))
    assert {v["signal"] for v in found} == {"spindle_load"}
    assert [v["level"] for v in found][:3] == ["watch", "alert", "hold"]
    assert set(found[0]) == {"ts", "level", "signal", "value", "limit", "why"}
    assert str(found[0]["ts"]).startswith("2022-08-08T1")
    assert found[0]["value"] == 190.0
    assert "S1load" in str(found[0]["why"])


@has_data
def test_observation_lines_and_several_files() -> None:
    days = sorted((TELEMETRY / "nist-smstestbed").glob("Mazak*.txt"))
    found = verdicts(guard(*days, "--json"))
    assert {str(v["file"]) for v in found} <= {str(day) for day in days}
    assert [v for v in found if v["level"] == "hold"] == []


@has_data
def test_a_day_without_any_load_says_so() -> None:
    result = guard(TELEMETRY / "nist-smstestbed" / "Hurco04-20170124-20170125.txt", "--json")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing to judge" in result.stderr


@has_data
def test_csv_with_a_period_a_map_and_teachers(tmp_path: Path) -> None:
    good = UMICH / "experiment_01.csv"
    options = ("--period", "0.1", "--map", "spindle_load=S1_OutputPower", "--json")
    assert verdicts(guard(good, "--learn", good, *options)) == []
    header, *rows = good.read_text().splitlines()
    at = header.split(",").index("S1_OutputPower")
    for number in range(500, 510):
        fields = rows[number].split(",")
        fields[at] = "2.0"
        rows[number] = ",".join(fields)
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join([header, *rows]))
    found = verdicts(guard(bad, "--learn", good, UMICH / "experiment_02.csv", *options))
    assert [(v["ts"], v["level"]) for v in found] == [(50.0, "watch"), (50.1, "alert"), (50.2, "hold")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.txt",), "cannot be read"),
        ((OKUMA, "--learn", "none.txt"), "none.txt"),
        ((OKUMA, "--map", "nothing"), "--map"),
        ((OKUMA, "--limit", "speed=5"), "no guarded signal"),
        ((OKUMA, "--limit", "x_load=high"), "--limit"),
        ((OKUMA, "--limit", "x_load=200:100"), "must not be below"),
    ],
)
def test_what_cannot_be_done_is_explained(arguments: tuple[object, ...], said: str) -> None:
    result = guard(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_learn_takes_the_files_that_follow_it(tmp_path: Path) -> None:
    copy = tmp_path / "copy.txt"
    copy.write_bytes(OKUMA.read_bytes())
    assert "verdicts; judged" in guard(copy, "--learn", OKUMA, OKUMA).stdout
    assert guard("--learn", OKUMA, "--learn", OKUMA, copy).exit_code == 0
    assert guard(copy, "--learn").exit_code == 2
    assert guard("--learn", OKUMA).exit_code == 2


def test_what_was_learnt_can_be_kept_and_used(tmp_path: Path) -> None:
    memory = tmp_path / "guard.json"
    assert guard(OKUMA, "--learn", OKUMA, "--save", memory).exit_code == 0
    bad = tmp_path / "bad.txt"
    bad.write_text(raised(OKUMA.read_text(encoding="utf-8", errors="replace"), "S1load", 190, 100, 8), encoding="utf-8")
    found = verdicts(guard(bad, "--memory", memory, "--min-cycles", 1, "--json"))
    assert [v["level"] for v in found][:3] == ["watch", "alert", "hold"]
