"""Descriptions and models that a centre sends to a rack: taken whole, refused whole, undone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts import racks
from contracts.control import SetRackModel, TeachRack
from edge_agents.rack_models import pack
from tests.integration.edge_agents.conftest import RackShop

MODELS = Path(__file__).resolve().parents[3] / "vision" / "models"


def described(shop: RackShop, **first: Any) -> racks.RackDescription:
    """The rack as it is taught now, with other words about its first place."""
    rack = racks.parse(shop.description.read_bytes())
    return msgspec.structs.replace(rack, slots=[msgspec.structs.replace(rack.slots[0], **first), *rack.slots[1:]])


async def test_a_description_is_taken_whole_or_not_at_all(shop: RackShop) -> None:
    shop.start()
    await shop.heard("rack.read")
    before = shop.description.read_bytes()
    path = "/api/racks/descriptions/x"
    twice = msgspec.json.decode(before)
    twice["slots"][1]["id"] = twice["slots"][0]["id"]
    small = racks.dump(described(shop, px_per_item=9.0))
    other_size = racks.dump(msgspec.structs.replace(described(shop), picture=(1234, 567)))
    spoilt = shop.http.keep(path, before) | {"sha256": "0" * 64}
    answer = await shop.order("rack-teach", TeachRack, **spoilt)
    assert (answer.done, "pas celui qui était annoncé" in answer.detail) == (False, True)
    for content, said in (
        (b"{", "Description refusée"),
        (msgspec.json.encode(twice), "appears twice"),
        (small, "présence seule"),
        (other_size, "1234×567"),
    ):
        answer = await shop.order("rack-teach", TeachRack, **shop.http.keep(path, content))
        assert not answer.done
        assert said in answer.detail
        assert "ancienne" in answer.detail or "Rapprocher" in answer.detail
    assert shop.description.read_bytes() == before

    good = racks.dump(described(shop, item="PLAQ-NEUVE"))
    answer = await shop.order("rack-teach", TeachRack, **shop.http.keep(path, good))
    assert answer.done
    assert "12 gardées, 0 à apprendre" in answer.detail
    assert shop.description.read_bytes() == good
    assert shop.description.with_name("rack.json.previous").read_bytes() == before
    await shop.act("take")
    await shop.heard("stock.observed")
    assert shop.moved == shop.truth
    shop.kill()
    shop.again()
    await shop.wait(lambda: len([r for r in shop.said("rack.read") if r.why == "start"]) > 1, "start again")
    started = [read for read in shop.said("rack.read") if read.why == "start"]
    assert started[-1].slots[0].item == "PLAQ-NEUVE"
    assert shop.moved == shop.truth


async def test_a_model_is_signed_tried_used_and_taken_back(shop: RackShop) -> None:
    signer = Ed25519PrivateKey.generate()
    public = signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (shop.directory / "models.pem").write_bytes(public)
    shop.start('model_key = "models.pem"\n')
    await shop.heard("rack.read")
    path = "/api/racks/models/m"

    def given(content: bytes, signed: bytes | None, by: Ed25519PrivateKey = signer) -> dict[str, Any]:
        shop.http.files.pop(f"{path}.sig", None)
        if signed is not None:
            shop.http.keep(f"{path}.sig", by.sign(hashlib.sha256(signed).digest()).hex().encode())
        return shop.http.keep(path, content)

    (shop.directory / "bad").mkdir()
    (shop.directory / "bad" / "hand-detector.onnx").write_bytes(b"no model" * 100)
    model, garbage, broken = pack(MODELS), b"no zip" * 100, pack(shop.directory / "bad")
    for content, signed, by, said in (
        (model, None, signer, "pas signé"),
        (model, model, Ed25519PrivateKey.generate(), "signature"),
        (model, garbage, signer, "signature"),
        (garbage, garbage, signer, "pas un ZIP"),
        (broken, broken, signer, "refusé à l'essai"),
    ):
        answer = await shop.order("rack-model", SetRackModel, version="v2", **given(content, signed, by))
        assert not answer.done
        assert said in answer.detail
    answer = await shop.order("rack-model", SetRackModel)
    assert (answer.done, "Pas de modèle d'avant" in answer.detail) == (False, True)

    answer = await shop.order("rack-model", SetRackModel, version="v2", **given(model, model))
    assert (answer.done, answer.detail) == (True, "Modèle v2 : en service.")
    kept = shop.directory / "outbox-models" / "rack-a" / hashlib.sha256(model).hexdigest()
    assert list(kept.parent.iterdir()) == [kept]
    shop.kill()
    (kept / "hand-detector.onnx").write_bytes(b"spoilt on disk")
    shop.again()
    await shop.wait(lambda: len([r for r in shop.said("rack.read") if r.why == "start"]) > 1, "start again", 90)
    assert "cannot be loaded, back to the one before" in shop.log.read_text()
    answer = await shop.order("rack-model", SetRackModel)
    assert not answer.done
    assert all(status.status != "error" or status.code == "detector" for status in shop.said("source.status"))
