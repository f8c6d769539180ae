"""The authority signs what it should and for no name that is not the shop's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from central.core.secrets import OpenFileError
from central.fleet.broker import BrokerFiles, renew_server
from central.fleet.ca import Authority, BadRequestError, serial_of

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path / "trust", "atelier", ["nas", "nas.exemple.fr", "203.0.113.7"], NOW)


def certificate(pem: bytes) -> bytes:
    return pem[pem.index(b"-----BEGIN CERTIFICATE") :]


def test_it_is_made_once_and_its_key_is_the_centres_alone(tmp_path: Path) -> None:
    folder = tmp_path / "trust"
    first = Authority.open(folder, "atelier", ["nas"], NOW)
    again = Authority.open(folder, "atelier", ["autre"], NOW + timedelta(days=400))
    assert first.fingerprint == again.fingerprint
    assert (folder / "ca.pem").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in (folder / "ca.crt").read_bytes()
    (folder / "ca.pem").chmod(0o644)
    with pytest.raises(OpenFileError):
        Authority.open(folder, "atelier", [], NOW)


@pytest.mark.parametrize(
    "name", ["nas", "nas.local", "a.lan", "192.168.1.20", "10.1.2.3", "fd00::1", "nas.exemple.fr", "203.0.113.7"]
)
def test_the_shops_own_names_are_guaranteed(authority: Authority, name: str) -> None:
    assert authority.signed(x509.load_pem_x509_certificate(certificate(authority.server([name], NOW))))


@pytest.mark.parametrize(
    "name", ["example.com", "banque.fr", "exemple.fr", "8.8.8.8", "notlocal", "203.0.113.8", "2001:db8::1"]
)
def test_no_other_name_is(authority: Authority, name: str) -> None:
    with pytest.raises(BadRequestError, match=name):
        authority.server(["nas.local", name], NOW)


def test_each_list_of_revoked_certificates_is_newer_than_the_one_before(authority: Authority) -> None:
    serial = serial_of(certificate(authority.client("rack-1", NOW, timedelta(days=90))))
    lists = [authority.revocation_list({}, None, NOW)]
    for _ in range(5):  # within one second
        lists.append(authority.revocation_list({serial: NOW}, lists[-1], NOW))
    read = [x509.load_pem_x509_crl(pem) for pem in lists]
    begins = [one.last_update_utc for one in read]
    assert begins == sorted(set(begins))
    assert all(moment < NOW for moment in begins), "a list of the future would refuse everybody"
    assert read[-1].get_revoked_certificate_by_serial_number(int(serial, 16)) is not None
    assert read[0].get_revoked_certificate_by_serial_number(int(serial, 16)) is None


def test_the_brokers_files_change_only_when_they_must(authority: Authority, tmp_path: Path) -> None:
    files = BrokerFiles(tmp_path / "broker", authority, ["nas.local"])
    assert files.write_list({}, NOW) is True
    assert files.write_list({}, NOW + timedelta(hours=2)) is False
    assert files.write_list({}, NOW + timedelta(days=2)) is True, "it has an end, after which everybody is refused"
    assert files.write_list({f"{7:040x}": NOW}, NOW + timedelta(days=2)) is True


def test_a_listeners_certificate_is_made_anew_in_time_and_for_new_names(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "https.pem"
    assert renew_server(path, authority, ["nas.local"], NOW) is True
    assert path.stat().st_mode & 0o777 == 0o600
    assert renew_server(path, authority, ["nas.local"], NOW + timedelta(days=200)) is False
    assert renew_server(path, authority, ["nas.local"], NOW + timedelta(days=250)) is True
    assert renew_server(path, authority, ["nas.local", "10.0.0.2"], NOW + timedelta(days=251)) is True
    other = Authority.open(tmp_path / "other", "atelier", [], NOW)
    assert renew_server(path, other, ["nas.local", "10.0.0.2"], NOW + timedelta(days=251)) is True
