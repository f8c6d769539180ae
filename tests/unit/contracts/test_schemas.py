"""The published schemas are the code's: a change of the language without its schema does not pass."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import jsonschema
import msgspec
import pytest

from contracts import envelope, schemas
from contracts.facts import KIND_OF, KINDS, CycleEnded, MachineSamples, StockObserved, UnknownKind, decode_body

PUBLISHED = {path.name: path.read_text(encoding="utf-8") for path in schemas.DIRECTORY.glob("*.json")}


def test_the_published_schemas_are_up_to_date() -> None:
    assert schemas.schemas() == PUBLISHED, "run `make schemas` and commit docs/schemas"


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_each_schema_is_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(PUBLISHED[name]))


@pytest.mark.parametrize(
    "body",
    [
        StockObserved(source="camera", qty=-1000, item="CNMG", place="rack-a/A1", mode="review"),
        MachineSamples(machine="t1", signal="spindle_load", t0=datetime.now(UTC), dt=[0, 100], v=[1.5, 2.0]),
        CycleEnded(machine="t1", began=datetime.now(UTC)),
    ],
)
def test_what_the_code_writes_is_valid_by_the_schema_and_reads_back(body: msgspec.Struct) -> None:
    kind = KIND_OF[type(body)]
    text = envelope.encoder.encode(body)
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED[f"{kind}.json"]))
    assert list(validator.iter_errors(json.loads(text))) == []
    assert decode_body(kind, text) == body


def test_what_the_schema_refuses_the_code_refuses() -> None:
    for text in (b'{"qty":-1000}', b'{"source":"camera","qty":"one"}', b'{"source":"camera","qty":1,"confidence":2}'):
        schema = json.loads(PUBLISHED["stock.observed.json"])
        assert list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(text)))
        with pytest.raises(msgspec.ValidationError):
            decode_body("stock.observed", text)


def test_an_unknown_kind_is_said() -> None:
    with pytest.raises(UnknownKind, match=r"stock\.eaten"):
        decode_body("stock.eaten", b"{}")
    assert "stock.eaten" not in KINDS
