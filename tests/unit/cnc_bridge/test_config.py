from pathlib import Path

import pytest
from annotated_types import Le

from cnc_bridge import catalogue
from cnc_bridge.config import ConfigError, load, parse
from cnc_bridge.drivers.opcua.settings import Settings as OpcUaSettings
from cnc_bridge.drivers.shdr.settings import Settings as ShdrSettings

OPCUA = """\
[machine]
id = "tour-2"
stale_after_s = 5

[driver]
kind = "opcua"
endpoint = "opc.tcp://192.168.1.20:4840"
security = "Basic256Sha256"
user = "copeau"
password_file = "secret"

[driver.signals]
execution = { node = "ns=2;s=Exec", words = { 1 = "READY", 2 = "ACTIVE" } }
spindle_load = "ns=2;s=Load"
coolant_temperature = { node = "i=1001", unit = "°C", scale = 0.1 }
"""


def refused(tmp_path: Path, text: str) -> str:
    file = tmp_path / "machine.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(file)
    return str(error.value)


def test_an_opcua_machine(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(OPCUA, encoding="utf-8")
    source = load(tmp_path / "m.toml")
    assert isinstance(source.driver, OpcUaSettings)
    assert source.stale_after_s == 5
    assert source.driver.signals["spindle_load"].node == "ns=2;s=Load"
    assert source.driver.signals["execution"].words == {"1": "READY", "2": "ACTIVE"}
    assert source.units == {"coolant_temperature": "°C"}


def test_an_shdr_machine_needs_its_host_only_and_keeps_the_other_defaults() -> None:
    source = parse({
        "machine": {"id": "tour-1"},
        "driver": {
            "kind": "shdr",
            "host": "10.0.0.3",
            "signals": {"spindle_load": "S6load", "tool": "", "x_load": {"key": "X1load", "unit": "%"}},
        },
    })  # fmt: skip
    assert isinstance(source.driver, ShdrSettings)
    assert source.driver.signals["spindle_load"].key == "S6load"
    assert source.driver.signals["execution"].key == "pexecution"
    assert "tool" not in source.driver.signals
    assert source.stale_after_s == 10


def test_a_misspelt_key_is_told_with_its_line_and_the_right_word(tmp_path: Path) -> None:
    said = refused(tmp_path, OPCUA.replace("endpoint =", "endpont ="))
    assert "line 7: driver.endpont: unknown key: did you mean `endpoint`?" in said
    assert "driver.endpoint: missing" in said


def test_a_wrong_type_is_told_with_its_line(tmp_path: Path) -> None:
    said = refused(tmp_path, '[machine]\nid = "a"\n\n[driver]\nkind = "shdr"\nhost = "x"\nport = "7878"\n')
    assert "line 7: driver.port: input should be a valid integer; it is '7878'" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "opcua"', 'kind = "opc"', "line 6: driver.kind: unknown driver 'opc': use one of \""),
        ("opc.tcp://192.168.1.20:4840", "http://x", "is not an OPC UA address"),
        ("opc.tcp://192.168.1.20:4840", "opc.tcp://me:pw@x", "no user in the address"),
        ('"ns=2;s=Load"', '"Load"', "is not a node id"),
        ('password_file = "secret"', "", "a `user` without password"),
        ("spindle_load =", '"Spindle Load" =', "is not a signal name"),
        ("scale = 0.1", "scal = 0.1", "did you mean `scale`?"),
        ('id = "tour-2"', 'id = "Tour 2"', "line 2: machine.id"),
        ("[machine]", "[machines]", "unknown table: did you mean `machine`?"),
        ("[machine]", "[machine", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in refused(tmp_path, OPCUA.replace(old, new))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_a_password_never_shows_in_what_is_printed() -> None:
    source = parse({
        "machine": {"id": "m"},
        "driver": {
            "kind": "opcua",
            "endpoint": "opc.tcp://x",
            "user": "u",
            "password": "tr0ub4dor",
            "signals": {"execution": "i=1"},
        },
    })  # fmt: skip
    assert "tr0ub4dor" not in repr(source)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("opcua", "check_s"),
        ("shdr", "heartbeat_s"),
        ("mtconnect", "heartbeat_s"),
        ("linuxcnc", "heartbeat_s"),
        ("serial", "poll_s"),
    ],
)
def test_no_heartbeat_that_is_allowed_makes_an_idle_machine_look_silent(kind: str, name: str) -> None:
    (longest,) = [
        float(str(limit.le))
        for limit in catalogue.settings_type(kind).model_fields[name].metadata
        if isinstance(limit, Le)
    ]
    assert 2 * longest <= catalogue.manifest(kind).stale_after_s


@pytest.mark.parametrize(
    "driver",
    [
        {"kind": "serial", "dialect": "haas_mdc", "device": "/dev/ttyUSB0"},
        {"kind": "modbus", "device": "/dev/ttyUSB0", "signals": {"spindle_load": "40011"}},
    ],
)
def test_a_serial_line_has_no_second_end_for_a_guard(driver: dict[str, object]) -> None:
    assert parse({"machine": {"id": "m"}, "driver": driver}).machine.guard is None
    with pytest.raises(ConfigError, match="a serial line has one end"):
        parse({"machine": {"id": "m", "guard": {}}, "driver": driver})
