from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnc_bridge.drivers.mtconnect.documents import (
    AgentError,
    BadDocumentError,
    Device,
    read_devices,
    read_streams,
)
from cnc_bridge.drivers.mtconnect.meaning import channels, conditions, is_robot, meanings
from cnc_bridge.drivers.mtconnect.multipart import Splitter, boundary_of
from cnc_bridge.testing.mtconnect_agent import OKUMA_DEVICES

DATA = Path(__file__).parents[4] / "shared" / "data" / "telemetry"
HEADER = (
    '<Header instanceId="7" version="1.3.0.1" bufferSize="100" firstSequence="1" lastSequence="9" nextSequence="10"/>'
)


def device(xml: str) -> Device:
    _, (found,) = read_devices(f"<MTConnectDevices>{HEADER}<Devices>{xml}</Devices></MTConnectDevices>".encode())
    return found


def signals(found: Device, path: str | None = None) -> dict[str, str]:
    return {one.signal: one.item.name or one.item.id for one in meanings(found, path)}


ROBOT = """<Device id="r" name="R1" uuid="r1"><Description manufacturer="KUKA">Robot KR 10</Description><DataItems>
  <DataItem id="r-a" category="EVENT" type="AVAILABILITY"/></DataItems><Components><Axes id="ax"><Components>
  <Rotary id="j1" name="J1"><DataItems><DataItem id="j1l" category="SAMPLE" type="LOAD" units="PERCENT"/>
  <DataItem id="j1a" category="SAMPLE" type="ANGLE" subType="ACTUAL" units="DEGREE"/></DataItems></Rotary>
  </Components></Axes><Controller id="c"><DataItems><DataItem id="es" category="EVENT" type="EMERGENCY_STOP"/>
  <DataItem id="sys" category="CONDITION" type="SYSTEM"/></DataItems><Components><Path id="p" name="arm"><DataItems>
  <DataItem id="ex" category="EVENT" type="EXECUTION"/><DataItem id="mo" category="EVENT" type="CONTROLLER_MODE"/>
  <DataItem id="pr" category="EVENT" type="PROGRAM"/><DataItem id="pc" category="EVENT" type="PART_COUNT"/>
  </DataItems></Path></Components></Controller></Components></Device>"""

TWO_CHANNELS = """<Device id="d" name="D" uuid="d"><Components><Controller id="c"><DataItems>
  <DataItem id="es" category="EVENT" type="EMERGENCY_STOP"/></DataItems><Components>
  <Path id="p1" name="upper"><DataItems><DataItem id="ex1" category="EVENT" type="EXECUTION"/>
  <DataItem id="sub" category="EVENT" type="PROGRAM" subType="x:SUB"/>
  <DataItem id="pr1" category="EVENT" type="PROGRAM" subType="MAIN"/></DataItems></Path>
  <Path id="p2" name="lower"><DataItems><DataItem id="ex2" category="EVENT" type="EXECUTION"/>
  <DataItem id="pr2" category="EVENT" type="PROGRAM"/><DataItem id="pc2" category="EVENT" type="PART_COUNT"
  subType="TARGET"/><DataItem id="pg2" category="EVENT" type="PART_COUNT" subType="GOOD"/></DataItems></Path>
  </Components></Controller></Components></Device>"""


def test_a_robot_is_read_as_any_machine() -> None:
    robot = device(ROBOT)
    assert is_robot(robot)
    assert signals(robot) == {
        "availability": "r-a", "emergency_stop": "es", "execution": "ex", "mode": "mo", "programme": "pr",
        "part_count": "pc", "j1_load": "j1l",
    }  # fmt: skip
    assert [item.id for item in conditions(robot)] == ["sys"]
    assert not is_robot(device(TWO_CHANNELS))


def test_of_a_machine_with_two_channels_one_is_read_and_never_a_mixture() -> None:
    lathe = device(TWO_CHANNELS)
    assert channels(lathe) == ["upper", "lower"]
    assert signals(lathe) == {"emergency_stop": "es", "execution": "ex1", "programme": "pr1"}
    assert signals(lathe, "lower") == {
        "emergency_stop": "es", "execution": "ex2", "programme": "pr2", "part_count": "pg2",
    }  # fmt: skip


def test_the_model_of_the_recorded_lathe() -> None:
    _, (lathe,) = read_devices(OKUMA_DEVICES.read_bytes().replace(b"<Devices>", HEADER.encode() + b"<Devices>", 1))
    assert signals(lathe) == {
        "availability": "avail", "emergency_stop": "estop", "functional_mode": "fmode", "execution": "pexecution",
        "mode": "pmode", "programme": "pprogram", "tool": "p1CurrentTool", "part_count": "ppartcount",
        "feed": "p1Fact", "feed_override": "pFovr", "spindle_speed": "S1speed", "spindle_override": "S1ovr",
        "spindle_load": "S1load", "spindle2_speed": "S6speed", "spindle2_load": "S6load", "x_load": "X1load",
        "z_load": "Z1load",
    }  # fmt: skip
    assert {one.signal: one.scale for one in meanings(lathe)}["feed"] == 60.0, "mm/s in MTConnect, mm/min here"


CONTROLS: dict[str, dict[str, tuple[str | None, ...]]] = {
    "okuma-shdr/Devices.xml": {
        "OKUMA": ("pexecution", "pprogram", "p1CurrentTool", "ppartcount", "S1load", "S1speed"),
        "Mazak": ("execution", "program", "Tool_number", "PartCountAct", "Sload", "Srpm"),
    },
    "nist-smstestbed/Devices.xml": {
        "GFAgie01": ("execution", "program", None, None, None, None),
        "Mazak01": ("execution", "program", "Tool_number", "PartCountAct", "Sload", "Srpm"),
        "Mazak03": ("execution", "program", "Tool_number", "PartCountAct", "S1load", "Srpm"),
        "Hurco01": ("Program_Status", "Program_Name_Running", "Current_Tool", "Part_Count", None, "Spindle_Speed"),
    },
    "mtconnect-samples/fanuc.xml": {"Fanuc-4Axis": ("execution", "program", None, None, "S1load", "S1speed")},
    "mtconnect-samples/haas.xml": {"Haas_1": ("execution", "program", None, "PartCount", None, "Sspeed")},
    "mtconnect-samples/data_set.xml": {"LinuxCNC": (None, "program", None, None, None, "Sspeed")},
}


@pytest.mark.skipif(not DATA.is_dir(), reason="the device models are not beside the repository")
@pytest.mark.parametrize("file", CONTROLS)
def test_the_models_of_real_controls_need_no_mapping_by_hand(file: str) -> None:
    _, devices = read_devices((DATA / file).read_bytes())
    by_name = {one.name: signals(one) for one in devices}
    wanted = ("execution", "programme", "tool", "part_count", "spindle_load", "spindle_speed")
    for name, items in CONTROLS[file].items():
        assert tuple(by_name[name].get(signal) for signal in wanted) == items, name


@pytest.mark.parametrize("version", ["1.2", "1.3", "1.8", "2.0", "2.7"])
def test_the_version_of_the_standard_makes_no_difference(version: str) -> None:
    document = f"""<?xml version="1.0" encoding="UTF-8"?>
    <m:MTConnectStreams xmlns:m="urn:mtconnect.org:MTConnectStreams:{version}">{HEADER.replace("Header", "m:Header")}
    <m:Streams><m:DeviceStream name="d" uuid="d"><m:ComponentStream component="Path" componentId="p">
    <m:Condition><m:Fault dataItemId="c" sequence="4" timestamp="2026-01-01T00:00:00Z" nativeCode="12"
      type="SYSTEM">OVERLOAD</m:Fault></m:Condition>
    <m:Events><m:Execution dataItemId="e" sequence="3" timestamp="2026-01-01T00:00:00.25Z">ACTIVE</m:Execution>
    </m:Events></m:ComponentStream></m:DeviceStream></m:Streams></m:MTConnectStreams>"""
    streams = read_streams(document.encode())
    assert (streams.header.instance, streams.header.next, streams.header.buffer_size) == (7, 10, 100)
    assert [(one.item, one.sequence, one.value, one.level, one.code, one.text) for one in streams.observations] == [
        ("e", 3, "ACTIVE", "", "", ""),
        ("c", 4, "OVERLOAD", "FAULT", "12", "OVERLOAD"),
    ]


def test_an_error_document_is_the_agents_own_no() -> None:
    error = (
        '<MTConnectError><Errors><OutOfRange errorCode="OUT_OF_RANGE"><ErrorMessage>from</ErrorMessage></OutOfRange>'
    )
    with pytest.raises(AgentError) as no:
        read_streams(f"{error}</Errors></MTConnectError>".encode())
    assert no.value.code == "OUT_OF_RANGE"


@pytest.mark.parametrize(
    "observation", ['dataItemId="e" timestamp="x" sequence="1"', 'dataItemId="e"', 'dataItemId="e" sequence="one"']
)
def test_an_observation_without_number_or_time_is_refused(observation: str) -> None:
    with pytest.raises(BadDocumentError):
        read_streams(
            f"<MTConnectStreams>{HEADER}<Streams><a><b><Events><Execution {observation}>ACTIVE</Execution></Events>"
            "</b></a></Streams></MTConnectStreams>".encode()
        )


@given(st.binary(max_size=300))
def test_no_bytes_ever_break_the_reader(data: bytes) -> None:
    for reader in (read_devices, read_streams):
        with pytest.raises((BadDocumentError, AgentError)):
            reader(data)


def part(body: bytes, *, length: bool) -> bytes:
    head = b"--next\r\nContent-type: text/xml\r\n"
    return head + (b"Content-length: %d\r\n\r\n" % len(body) if length else b"\r\n") + body + b"\r\n"


@given(
    st.lists(st.tuples(st.binary(max_size=60).filter(lambda body: b"--next" not in body), st.booleans()), max_size=8),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_parts_are_the_same_however_the_bytes_come(parts: list[tuple[bytes, bool]], sizes: list[int]) -> None:
    stream = b"".join(part(body, length=length) for body, length in parts) + b"--next--\r\n"
    splitter, found, at, turn = Splitter(b"next", 1000), list[bytes](), 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += splitter.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert [body.rstrip(b"\r\n") for body in found] == [body.rstrip(b"\r\n") for body, _ in parts]
    assert splitter.ended


def test_a_part_without_end_is_refused() -> None:
    for head in (
        b"--next\r\nContent-length: 100001\r\n\r\n",
        b"--next\r\n\r\n" + b"x" * 110_000,
        b"--next\r\n" + b"y" * 5000,
    ):
        with pytest.raises(BadDocumentError):
            Splitter(b"next", 100_000).feed(head)


def test_the_boundary_is_read_off_the_content_type() -> None:
    assert boundary_of("multipart/x-mixed-replace;boundary=abc") == b"abc"
    assert boundary_of('multipart/x-mixed-replace; boundary="a b"') == b"a b"
    with pytest.raises(BadDocumentError):
        boundary_of("text/xml")
