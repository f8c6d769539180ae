"""What the slot judge's network knows: the size of its input, classes, states, and how far it counts."""

from __future__ import annotations

from typing import Final

SIDE: Final = 96
"""Side of the network's input, px."""

MOST: Final = 16
"""Largest count that it can say."""

STEPS: Final = 4
"""Largest change of count, either way, that it can say."""

KLASSES: Final = ("insert", "drill", "endmill", "other")
STATES: Final = ("seen", "masked", "foreign", "stacked", "opened")
