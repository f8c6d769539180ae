"""What the features of persons raise."""

from __future__ import annotations


class RefusedError(ValueError):
    """It may not be done. The text is French."""
