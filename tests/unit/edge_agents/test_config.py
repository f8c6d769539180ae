from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cnc_bridge import catalogue
from copeau.commands.agent import command
from edge_agents.config import ConfigError, load

DRIVERS = ", ".join(f'"{kind}"' for kind in catalogue.kinds())
GOOD = """
[agent]
name = "pi-1"
site = "atelier"

[centre]
host = "nas.local"
port = 8883
tls = true

[outbox]
path = "data/outbox.db"
max_mb = 64

[[rack]]
name = "rack-a"
source = "0"
fps = 5

[[rack]]
name = "rack-b"
source = "rtsp://camera/1"
rack = "rack.json"

[[scanner]]
name = "douchette"
post = "poste-1"
serial = "/dev/ttyUSB0"
action = "take"

[[machine]]
name = "tour-1"
driver = "shdr"
host = "192.168.1.30"

[machine.signals]
spindle_load = "S1load"

[[machine]]
name = "fraiseuse-1"
driver = "opcua"
endpoint = "opc.tcp://192.168.1.31:4840"
signals = { execution = "ns=2;s=Execution" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rack.json").write_text('{"slots": []}')
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return path


def complaints(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as refused:
        load(path)
    return [line.removeprefix(f"{path}, ") for line in refused.value.lines]


def test_a_good_file_is_read(folder: Path) -> None:
    config = load(write(folder, GOOD))
    assert config.part_names == ["rack-a", "rack-b", "douchette", "tour-1", "fraiseuse-1"]
    assert config.outbox.path == folder / "data/outbox.db"
    assert config.rack[0].rack == folder / "rack.json"
    assert config.rack[0].fps == 5.0
    assert config.centre.broker().port == 8883
    assert config.machine[0].driver.kind == "shdr"


def test_the_defaults_work(folder: Path) -> None:
    config = load(write(folder, '[agent]\nname = "pi-1"\n'))
    assert (config.agent.site, config.centre.host, config.centre.port) == ("atelier", "127.0.0.1", 1883)
    assert config.part_names == []


@pytest.mark.parametrize(
    ("changed", "to", "said"),
    [
        (
            'source = "0"',
            'sorce = "0"',
            [
                "line 15: rack[1].source: missing: this key is required",
                "line 17: rack[1].sorce: unknown key: did you mean `source`?",
            ],
        ),
        (
            "port = 8883",
            "port = 70000",
            [
                "line 8: centre.port: input should be less than or equal to 65535; it is 70000",
            ],
        ),
        (
            "port = 8883",
            'port = "8883"',
            [
                "line 8: centre.port: input should be a valid integer; it is '8883'",
            ],
        ),
        (
            'name = "rack-b"',
            'name = "Rack B"',
            [
                "line 21: rack[2].name: lower-case letters, digits and hyphens only; it is 'Rack B'",
            ],
        ),
        (
            'name = "rack-b"',
            'name = "rack-a"',
            [
                "line 21: rack[2].name: two parts are called `rack-a`: their facts could not be told apart",
            ],
        ),
        (
            "[outbox]",
            "[outbocks]",
            [
                "line 11: outbocks: unknown table: did you mean `outbox`?",
            ],
        ),
        (
            'serial = "/dev/ttyUSB0"',
            "",
            [
                (
                    "line 25: scanner[1]: give exactly one of `images`, `camera`, `serial`, `keyboard`, `lines`; "
                    "here: none"
                ),
            ],
        ),
        (
            'driver = "shdr"',
            'driver = "shdrr"',
            [
                f"line 33: machine[1].driver: unknown driver 'shdrr': use one of {DRIVERS}",
            ],
        ),
        (
            'host = "192.168.1.30"',
            'hots = "192.168.1.30"',
            [
                "line 31: machine[1].host: missing: this key is required",
                "line 34: machine[1].hots: unknown key: did you mean `host`?",
            ],
        ),
        (
            "tls = true",
            'client_cert = "me.crt"',
            [
                "line 6: centre: `client_cert` and `client_key` go together",
            ],
        ),
        (
            'endpoint = "opc.tcp://192.168.1.31:4840"',
            'endpoint = "http://x"',
            [
                (
                    "line 42: machine[2].endpoint: 'http://x' is not an OPC UA address: write "
                    "`opc.tcp://192.168.1.20:4840`"
                ),
            ],
        ),
        (
            "[[scanner]]",
            "[scanner]",
            [
                "line 25: scanner: write [[scanner]], with two brackets: there may be several",
            ],
        ),
        (
            'rack = "rack.json"',
            'rack = "none.json"',
            [
                (
                    "line 20: rack[2]: rack: no such file {folder}/none.json: draw the rack's places first (`copeau "
                    "vision teach`)"
                ),
            ],
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_its_fix(folder: Path, changed: str, to: str, said: list[str]) -> None:
    assert changed in GOOD
    assert complaints(folder, GOOD.replace(changed, to, 1)) == [line.format(folder=folder) for line in said]


def test_a_file_that_is_no_toml_is_said(folder: Path) -> None:
    (line,) = complaints(folder, "[agent\nname=1")
    assert "not valid TOML" in line
    assert "line 1" in line


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_check_exits_2_with_a_line_for_each_mistake(folder: Path) -> None:
    path = write(folder, GOOD.replace("max_mb", "max_mo").replace('post = "poste-1"\n', ""))
    result = CliRunner().invoke(command, ["check", str(path)])
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{path}, line 13: outbox.max_mo: unknown key: did you mean `max_mb`?",
        f"{path}, line 25: scanner[1].post: missing: this key is required",
    ]


def test_check_says_what_the_agent_would_be(folder: Path) -> None:
    result = CliRunner().invoke(command, ["check", str(write(folder, GOOD))])
    assert result.exit_code == 0
    assert "pi-1 of atelier: rack-a, rack-b, douchette, tour-1, fraiseuse-1" in result.stdout


@pytest.mark.parametrize(
    ("centre", "address"),
    [
        ("", "http://127.0.0.1:8000"),
        ('[centre]\nhost = "nas.local"\n', "http://nas.local:8000"),
        ('[centre]\nhost = "fd00::2"\n', "http://[fd00::2]:8000"),
        ('[centre]\nhttp = "https://nas.local:8443"\n', "https://nas.local:8443"),
    ],
)
def test_where_programmes_are_fetched_from(folder: Path, centre: str, address: str) -> None:
    assert load(write(folder, f'[agent]\nname = "pi-1"\n{centre}')).centre.http_address == address


def test_an_address_of_the_centre_that_is_none_is_said(folder: Path) -> None:
    (said,) = complaints(folder, '[agent]\nname = "pi-1"\n[centre]\nhttp = "nas:8000"\n')
    assert 'line 4: centre.http: an address is written "http://nas:8000"' in said


def test_a_rack_s_second_signals_and_its_badge_reader(folder: Path) -> None:
    (folder / "models.pem").write_text("a key")
    config = load(
        write(
            folder,
            """
[agent]
name = "pi-1"

[pictures]
hours = 24

[[rack]]
name = "rack-a"
source = "0"
idle_fps = 1
model_key = "models.pem"

[[scanner]]
name = "badge-rack-a"
post = "rack-a"
keyboard = "/dev/input/by-id/badge-event-kbd"

[[scale]]
name = "balance-b3"
serial = "/dev/ttyUSB1"
place = "rack-a/B3"
unit_g = 12.4
bin_g = 200

[[contact]]
name = "porte-rack-a"
rack = "rack-a"
input = 17

[[contact]]
name = "barriere-z1"
place = "rack-a/Z1"
input = { pin = 27, active_low = false }
open_when = "active"
""",
        )
    )
    assert config.part_names == ["rack-a", "badge-rack-a", "balance-b3", "porte-rack-a", "barriere-z1"]
    assert (config.scanner[0].post, config.scanner[0].action) == (config.rack[0].name, "identify")
    assert (config.contact[0].input.pin, config.contact[0].open_when) == (17, "inactive")
    assert config.pictures.hours == 24
    assert config.rack[0].model_key == folder / "models.pem"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[pictures]\nhours = 73", "pictures.hours: input should be less than or equal to 72; it is 73"),
        (
            '[[contact]]\nname = "porte"\nrack = "rack-x"\ninput = 17',
            "contact[1].rack: no rack here is called `rack-x`: did you mean `rack-a`?",
        ),
        (
            '[[contact]]\nname = "porte"\ninput = 17',
            "contact[1]: give `rack` (its camera is woken), `place` (each opening is asked about), or both",
        ),
        (
            '[[scale]]\nname = "b"\nserial = "/dev/ttyUSB0"\nplace = "B3"\nunit_g = 0',
            "scale[1].unit_g: input should be greater than 0; it is 0",
        ),
        (
            '[[scale]]\nname = "images"\nserial = "/dev/ttyUSB0"\nplace = "B3"\nunit_g = 1',
            "scale[1].name: `images` is a part of every agent's own: choose another name",
        ),
        (
            '[[rack]]\nname = "rack-b"\nsource = "0"\nmodel_key = "none.pem"',
            "rack[2]: model_key: no such file {folder}/none.pem: copy the public key that signs models here",
        ),
        (
            '[[rack]]\nname = "rack-b"\nsource = "0"\nfps = 2\nidle_fps = 5',
            "rack[2]: `idle_fps` is 0 (always `fps`), or at least 0.5 and at most `fps`",
        ),
    ],
)
def test_what_is_wrong_about_racks_is_said_with_its_fix(folder: Path, table: str, said: str) -> None:
    text = f'[agent]\nname = "pi-1"\n\n[[rack]]\nname = "rack-a"\nsource = "0"\n\n{table}\n'
    (line,) = complaints(folder, text)
    assert line.partition(": ")[2] == said.format(folder=folder)
