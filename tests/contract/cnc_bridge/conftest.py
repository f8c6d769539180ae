"""Far sides in their own process, so that they can be killed and stopped like the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.cnc_bridge.far_sides import FarSide, far_type, names


@pytest.fixture(params=names())
def far_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def far_side(far_name: str, tmp_path: Path) -> AsyncIterator[FarSide]:
    far = far_type(far_name)
    if far.missing:
        pytest.skip(far.missing)
    side = far(tmp_path)
    yield side
    await side.kill()
