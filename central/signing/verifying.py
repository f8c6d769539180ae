"""All signatures walked again: each has its text, its hash and its line of the journal."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from central.audit.models import AuditEntry
from central.audit.verifying import Checked
from central.core.uow import UnitOfWork
from central.signing import rules
from central.signing.models import Signature


async def check(uow: UnitOfWork) -> Checked:
    s, e = Signature, AuditEntry
    columns = (s.id, s.entry_id, s.operation, s.person, s.meaning, s.at, s.text, s.hash)
    signatures = [rules.Signed(*row) for row in await uow.session.execute(select(*columns).order_by(s.id))]
    lines = await uow.session.execute(select(e.id, e.who, e.subject, e.detail).where(e.what == "signing.sign"))
    found = rules.check(signatures, [rules.Line(r.id, r.who, r.subject, _detail(r.detail)) for r in lines])
    return Checked("signatures", len(signatures), list(found))


def _detail(text: str) -> dict[str, Any]:
    """A line that is no JSON is the chain's finding; here it agrees with no signature."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
