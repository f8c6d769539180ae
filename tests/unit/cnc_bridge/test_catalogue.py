from pathlib import Path

import pytest

from cnc_bridge import catalogue


def test_the_two_drivers_of_the_first_cut_are_there() -> None:
    assert {"opcua", "shdr"} <= set(catalogue.kinds())


@pytest.mark.parametrize("kind", catalogue.kinds())
def test_each_driver_says_what_it_can_do_and_how_far_that_is_proven(kind: str) -> None:
    manifest, quality = catalogue.manifest(kind), catalogue.quality(kind)
    assert manifest.capabilities[0] == "read"
    missing = set(catalogue.PROOFS) - set(quality.checks)
    assert not missing, f"quality.toml of {kind} has no line for {sorted(missing)}"
    unexplained = [name for name, check in quality.checks.items() if check.status == "exempt" and len(check.why) < 15]
    assert not unexplained, f"{kind}: exempt without a reason: {unexplained}"


@pytest.mark.parametrize("kind", catalogue.kinds())
def test_each_driver_folder_has_its_fixed_names(kind: str) -> None:
    settings, driver = catalogue.settings_type(kind), catalogue.driver_type(kind)
    assert settings.model_fields["kind"].annotation.__args__ == (kind,)  # type: ignore[union-attr]  # Literal[kind]
    assert (driver.__name__, settings.__name__) == ("ControllerDriver", "Settings")


def test_every_folder_of_drivers_is_a_driver() -> None:
    root = Path(catalogue.__file__).parent / "drivers"
    folders = {path.name for path in root.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(catalogue.kinds())


def test_no_driver_writes_to_a_machine() -> None:
    """Read-only until a machine opts in: no OPC UA write or method call, and SHDR sends its PING only."""
    root = Path(catalogue.__file__).parent / "drivers"
    source = "\n".join(path.read_text(encoding="utf-8") for path in root.glob("*/*.py"))
    for forbidden in ("write_value", "write_attribute", "set_value", "call_method", "set_writable"):
        assert forbidden not in source
    sent = [line.strip() for line in source.splitlines() if "writer.write(" in line]
    assert set(sent) == {'writer.write(b"* PING\\n")'}
