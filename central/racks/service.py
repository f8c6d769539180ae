"""Use cases of racks. Every function takes the unit of work first and commits nothing.

What a reading or a saying means for the stock is the stock's business (`central.stock`), which stands above.
"""

from __future__ import annotations

from typing import Literal

from central.core.uow import UnitOfWork
from central.racks import commands
from central.racks.commands import RefusedError
from central.racks.crops import claim_crops, crops, purge_all, take_crops
from central.racks.describing import document, restore, send, teach
from central.racks.reads import (
    command,
    description,
    descriptions,
    known,
    models,
    outcomes,
    places,
    privacy,
    rack,
    racks,
    rollouts,
    taught,
    trust,
)
from central.racks.reads import commands as commands_of
from central.racks.rollout import add_model, roll_back, roll_out
from central.racks.rules import rack_of, slot_of
from central.racks.schemas import (
    CommandView,
    CropsView,
    DescriptionView,
    ModelView,
    OutcomeView,
    PlaceView,
    PrivacyView,
    RackView,
    RolloutView,
    TrustView,
)
from central.racks.telling import believed, note_believed, tell_count
from central.racks.trusting import Outcome, note, set_trust, trusted, withdraw
from central.racks.vault import KeyLostError
from central.racks.viewing import note_viewing

__all__ = [
    "CommandView",
    "CropsView",
    "DescriptionView",
    "KeyLostError",
    "ModelView",
    "Outcome",
    "OutcomeView",
    "PlaceView",
    "PrivacyView",
    "RackView",
    "RefusedError",
    "RolloutView",
    "TrustView",
    "add_model",
    "believed",
    "claim_crops",
    "command",
    "commands_of",
    "crops",
    "description",
    "descriptions",
    "document",
    "known",
    "models",
    "note",
    "note_believed",
    "note_viewing",
    "outcomes",
    "places",
    "privacy",
    "purge_all",
    "rack",
    "rack_of",
    "racks",
    "restore",
    "roll_back",
    "roll_out",
    "rollouts",
    "send",
    "set_mode",
    "set_trust",
    "settle_move",
    "show",
    "slot_of",
    "take_crops",
    "taught",
    "teach",
    "tell_count",
    "trust",
    "trusted",
    "withdraw",
]


async def set_mode(uow: UnitOfWork, rack: str, mode: Literal["counting", "restocking"], *, by: str) -> str:
    """Begin or end the *mode rangement*; the command's id. Raises LookupError, RefusedError."""
    return await commands.ask(uow, rack, "rack-mode", by, mode=mode)


async def settle_move(uow: UnitOfWork, rack: str, *, accept: bool, by: str) -> str:
    """A person looked at before and after of a camera that moved. Raises LookupError, RefusedError."""
    return await commands.ask(uow, rack, "rack-moved", by, accept=accept)


async def show(uow: UnitOfWork, rack: str, *, by: str, seconds: float = 0.0) -> str:
    """Ask for the rack's picture, one a second for so long (60 s at most). Raises LookupError, RefusedError."""
    seconds = min(max(seconds, 0.0), 60.0)
    return await commands.ask(uow, rack, "rack-picture", by, path=f"/api/racks/{rack}/picture", seconds=seconds)
