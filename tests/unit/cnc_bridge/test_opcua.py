"""The OPC UA driver's pure parts: what the standards name, alarm events, names of programmes, certificates."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.object_ids import ObjectIds
from pydantic import ValidationError

from cnc_bridge import catalogue, model
from cnc_bridge.drivers.opcua.alarms import Alarms
from cnc_bridge.drivers.opcua.browsing import chunks
from cnc_bridge.drivers.opcua.companions import COMPANIONS, Candidate
from cnc_bridge.drivers.opcua.machines import Machine, chosen
from cnc_bridge.drivers.opcua.programmes import checked
from cnc_bridge.drivers.opcua.security import first_certificate, load_certificate, own_certificate
from cnc_bridge.drivers.opcua.settings import Settings
from cnc_bridge.drivers.opcua.values import node_number, raw_value, same, utc
from cnc_bridge.port import Condition, DriverFaultError, Moment

NOW = Moment(datetime(2026, 3, 2, 8, tzinfo=UTC), 100.0)


class FixedClock:
    def now(self) -> Moment:
        return NOW


def settings(**given: Any) -> Settings:
    return Settings.model_validate({"kind": "opcua", "endpoint": "opc.tcp://10.0.0.5:4840"} | given)


@pytest.mark.parametrize("companion", COMPANIONS, ids=lambda companion: companion.name)
def test_the_standards_words_are_ours(companion: Any) -> None:
    for signal, candidates in companion.signals.items():
        known = model.SIGNALS[signal]
        for candidate in candidates:
            for word in candidate.words.values():
                assert word == "UNAVAILABLE" or model.clean(known, word) == word


def test_a_candidate_fits_its_path_and_a_star_one_name_only() -> None:
    candidate = Candidate("Monitoring/*/ChannelState")
    assert candidate.fits(("Monitoring", "Channel1", "ChannelState"))
    assert not candidate.fits(("Monitoring", "Channels", "Channel1", "ChannelState"))
    assert not candidate.fits(("Monitoring", "Channel1", "ChannelStateText"))


def test_a_machine_is_chosen_by_name_or_node() -> None:
    lathe, mill = (Machine(name, node_number(n, 8), COMPANIONS[0]) for n, name in enumerate(["Lathe", "Mill"]))
    assert chosen([lathe, mill], None) == [lathe, mill]
    assert chosen([lathe, mill], "Mill") == [mill]
    assert chosen([lathe, mill], "ns=8;i=0") == [lathe]
    assert chosen([lathe], "Drill") == []


def event(*fields: object) -> ua.EventFieldList:
    return ua.EventFieldList(ClientHandle=ua.IntegerId(0), EventFields=[ua.Variant(field) for field in fields])


def alert(code: str, severity: int, *, active: bool = True, text: str = "Surcharge") -> ua.EventFieldList:
    at = datetime(2026, 3, 2, 7, 59, tzinfo=UTC)
    kind, condition = node_number(39, 7), node_number(1, 8)
    return event(kind, ua.LocalizedText(text), severity, at, active, "Alert", active, condition, code)


REFRESH_START = event(node_number(ObjectIds.RefreshStartEventType), *[None] * 8)
REFRESH_END = event(node_number(ObjectIds.RefreshEndEventType), *[None] * 8)
MESSAGE = event(node_number(35, 7), ua.LocalizedText("Plateau prêt"), 900, None, None, None, None, None, None)


def conditions(*events: ua.EventFieldList) -> Sequence[Condition]:
    put: list[Condition] = []
    Alarms(FixedClock(), put.append).events(events)
    return put


@pytest.mark.parametrize(
    ("severity", "level"), [(1000, "FAULT"), (667, "FAULT"), (666, "WARNING"), (334, "WARNING"), (333, "NORMAL")]
)
def test_severity_is_read_as_opc_40501_has_it(severity: int, level: str) -> None:
    (condition,) = conditions(alert("1042", severity))
    assert (condition.level, condition.code, condition.text) == (level, "1042", "Surcharge")
    assert condition.source_time == datetime(2026, 3, 2, 7, 59, tzinfo=UTC)


def test_an_alert_that_ended_is_normal_whatever_its_severity() -> None:
    assert [c.level for c in conditions(alert("1042", 900, active=False))] == ["NORMAL"]


def test_a_message_is_no_alarm() -> None:
    assert conditions(MESSAGE) == []


def test_a_refresh_tells_all_that_holds_and_clears_the_rest() -> None:
    told = conditions(REFRESH_START, alert("1", 800), alert("2", 800, active=False), MESSAGE, REFRESH_END)
    assert [(c.level, c.code) for c in told] == [("NORMAL", ""), ("FAULT", "1")]


def test_an_alert_without_code_goes_by_its_name() -> None:
    (condition,) = conditions(alert("", 800))
    assert condition.code == "Alert"


@pytest.mark.parametrize("name", ["O1234.NC", "PIECE_12.MPF", "arbre moteur.h", "1.TAP"])
def test_a_plain_name_is_a_programme(name: str) -> None:
    assert checked(name) == name


@pytest.mark.parametrize("name", ["../O1", "a/b", "a\\b", "..", ".x", "", "C:x", "x\n", "a..b", "x" * 121])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(DriverFaultError) as fault:
        checked(name)
    assert fault.value.code == "bad_name"


def test_our_certificate_is_made_once_and_kept(tmp_path: Path) -> None:
    config = settings(certificate=str(tmp_path / "new" / "c.der"), private_key=str(tmp_path / "new" / "c.pem"))
    assert own_certificate(config)
    before = config.certificate.read_bytes()
    assert not own_certificate(config)
    assert config.certificate.read_bytes() == before
    assert stat.S_IMODE(config.private_key.stat().st_mode) == 0o600
    assert first_certificate(before + before) == before
    assert load_certificate(before).not_valid_after_utc.year > datetime.now(UTC).year + 5


def test_a_certificate_that_lost_its_key_is_made_anew(tmp_path: Path) -> None:
    config = settings(certificate=str(tmp_path / "c.der"), private_key=str(tmp_path / "c.pem"))
    own_certificate(config)
    config.private_key.unlink()
    assert own_certificate(config)


@pytest.mark.parametrize("broken", ["certificate", "private_key"])
def test_an_unreadable_certificate_is_told_and_not_overwritten(tmp_path: Path, broken: str) -> None:
    config = settings(certificate=str(tmp_path / "c.der"), private_key=str(tmp_path / "c.pem"))
    own_certificate(config)
    getattr(config, broken).write_text("not a certificate")
    with pytest.raises(DriverFaultError) as fault:
        own_certificate(config)
    assert fault.value.code == "own_certificate"
    assert getattr(config, broken).read_text() == "not a certificate"


def test_a_certificate_for_another_name_is_told(tmp_path: Path) -> None:
    files = {"certificate": str(tmp_path / "c.der"), "private_key": str(tmp_path / "c.pem")}
    own_certificate(settings(**files))
    with pytest.raises(DriverFaultError, match="urn:copeau:other"):
        own_certificate(settings(application_uri="urn:copeau:other", **files))


def test_signals_may_be_left_to_discovery_but_not_to_nobody() -> None:
    assert settings().signals == {}
    with pytest.raises(ValidationError, match="nothing would be read"):
        settings(discover=False)


def test_a_hold_needs_its_way() -> None:
    with pytest.raises(ValidationError, match=r"driver\.hold"):
        settings(allow=["hold"])
    with pytest.raises(ValidationError, match="object"):
        settings(hold={"method": "ns=2;s=Hold"})
    assert settings(allow=["hold"], hold={"node": "ns=2;s=Hold"}).hold is not None


def test_values_of_bad_quality_and_unset_clocks_are_nothing() -> None:
    bad = ua.DataValue(ua.Variant(5.0), StatusCode=ua.StatusCode(ua.UInt32(ua.uaerrors.BadSensorFailure.code)))
    assert raw_value(bad) is None
    assert raw_value(ua.DataValue(ua.Variant(ua.LocalizedText("Running")))) == "Running"
    assert utc(datetime(1601, 1, 1, tzinfo=UTC)) is None
    assert utc(datetime(2026, 3, 2, 8)) == datetime(2026, 3, 2, 8, tzinfo=UTC)  # noqa: DTZ001 - as some servers give it


def test_a_value_that_is_no_number_does_not_differ_from_itself() -> None:
    assert same(float("nan"), float("nan"))
    assert not same(float("nan"), 1.0)
    assert not same(1.0, float("nan"))
    assert same("RUN", "RUN")


def test_chunks_keep_all_in_order() -> None:
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]


def test_only_orders_and_programmes_write_or_call() -> None:
    """The condition refresh of alarms.py is the one call that a machine gets which did not opt in: it moves nothing."""
    folder = Path(catalogue.__file__).parent / "drivers" / "opcua"
    order = re.compile(r"session\.(call|write)|write_value|write_attribute|set_value|call_method|set_writable")
    told = {path.name for path in folder.glob("*.py") if order.search(path.read_text(encoding="utf-8"))}
    assert told == {"alarms.py", "orders.py", "programmes.py"}
