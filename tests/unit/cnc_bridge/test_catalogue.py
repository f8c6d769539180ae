from pathlib import Path

import pytest

from cnc_bridge import catalogue
from cnc_bridge.port import Driver


def test_the_drivers_of_a_small_shop_are_there() -> None:
    wanted = {"opcua", "linuxcnc", "shdr", "mtconnect", "serial", "modbus", "s7", "focas", "lsv2", "gpio"}
    assert wanted <= set(catalogue.kinds())


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


@pytest.mark.parametrize("kind", catalogue.kinds())
def test_what_a_driver_offers_is_what_its_manifest_says(kind: str) -> None:
    """And nothing else: without these methods the port refuses, whatever `allow` says."""
    driver, capabilities = catalogue.driver_type(kind), catalogue.manifest(kind).capabilities
    assert (driver._hold is not Driver._hold) == ("hold" in capabilities)
    moves = driver._write_programme is not Driver._write_programme
    assert moves == (driver._read_programme is not Driver._read_programme) == ("programme" in capabilities)
    for opened in ("hold", "list_programmes", "read_programme", "write_programme"):
        assert getattr(driver, opened) is getattr(Driver, opened), "the opt-in is checked in the port, once"
