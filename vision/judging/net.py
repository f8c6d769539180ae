"""The trained half of the slot judge: pictures in, distributions over counts, changes and states out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vision.judging.classes import KLASSES, SIDE, STATES

MODEL: Final = Path(__file__).resolve().parents[1] / "models" / "slot-judge.onnx"
_LEVEL, _OFFSET = 100.0, 12.0

Distribution = npt.NDArray[np.float64]


class NetError(RuntimeError):
    """The model's file or sheet cannot be used; the text says why."""


def prepare(picture: npt.NDArray[Any], level: float) -> npt.NDArray[np.float32]:
    """(S, S, 3) uint8 → (3, S, S) float32: logarithm of intensity as if the rack's light were the same everywhere."""
    table = np.log(np.arange(256) * (_LEVEL / max(level, 1.0)) + _OFFSET) - np.log(_LEVEL + _OFFSET)
    return np.ascontiguousarray(table.astype(np.float32)[picture].transpose(2, 0, 1))


def one_hot(klass: str) -> npt.NDArray[np.float32]:
    """The class as the network's input; what it does not know is ``other``."""
    vector = np.zeros(len(KLASSES), np.float32)
    vector[KLASSES.index(klass) if klass in KLASSES else KLASSES.index("other")] = 1.0
    return vector


@dataclass(frozen=True)
class Answer:
    """What the network says of a pair; each a distribution that adds up to 1.

    Attributes:
        before, after: how many lie there, from each picture alone, index = count.
        change: how many came or left, from the pair; index = change + STEPS, the ends mean that many or more.
        state: how the place is seen now, from the pair, in the order of `STATES`.
        alone: the same from the later picture alone.
    """

    before: Distribution
    after: Distribution
    change: Distribution
    state: Distribution
    alone: Distribution


@dataclass(frozen=True)
class Limits:
    """Frozen in the model's sheet, found on pairs of other seeds than those trained on and those evaluated on.

    Attributes:
        temperature: by which logits are divided, so that a confidence is a share of right answers.
        auto: least confidence of a debit that is booked without a person.
        credit: the same of a return; higher, for what came may be a thing that does not belong there.
        quiet: least confidence of "nothing came or left".
        seen: least probability that the place can be read.
    """

    temperature: float = 1.0
    auto: float = 0.9
    credit: float = 0.98
    quiet: float = 0.9
    seen: float = 0.5


class SlotNetwork:
    """The ONNX model with its sheet, one thread.

    Raises:
        NetError: missing, damaged, or not the model that the sheet describes.
    """

    def __init__(self, model: Path | None = None) -> None:
        import onnxruntime  # a camera-free installation has none

        path = model or MODEL
        try:
            sheet = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            content = path.read_bytes()
            expected, self.version = str(sheet["sha256"]), str(sheet["version"])
            self.limits = Limits(**{k: float(v) for k, v in sheet["limits"].items()})
            known = (tuple(sheet["classes"]), tuple(sheet["states"]), int(sheet["side"]))
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as problem:
            raise NetError(f"slot judge {path} or its .json sheet cannot be read: {problem}") from problem
        if hashlib.sha256(content).hexdigest() != expected:
            raise NetError(f"slot judge {path} is not the one that its sheet describes (sha256 differs)")
        if known != (KLASSES, STATES, SIDE):
            raise NetError(f"slot judge {path} was trained for other classes, states or size: {known}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # an idle agent must not burn its core
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as problem:  # onnxruntime raises a dozen unrelated classes of its own
            raise NetError(f"slot judge {path} cannot be loaded: {problem}") from problem

    def answer(
        self,
        before: npt.NDArray[np.float32],
        after: npt.NDArray[np.float32],
        mask: npt.NDArray[np.uint8],
        klass: str,
        turns: int = 1,
        temperature: float | None = None,
    ) -> Answer:
        """Judge a pair.

        Args:
            before, after: (3, SIDE, SIDE), see `prepare`.
            mask: (SIDE, SIDE) 0/1.
            klass: class of the place's items.
            turns: over how many mirrored views the logits are averaged, 1 to 4.
            temperature: divisor of the logits; the sheet's when None.
        """
        sums: list[Any] = []
        for flip in _FLIPS[:turns]:
            feed = {
                "before": np.ascontiguousarray(before[None, :, :: flip[0], :: flip[1]]),
                "after": np.ascontiguousarray(after[None, :, :: flip[0], :: flip[1]]),
                "mask": np.ascontiguousarray(mask[None, None, :: flip[0], :: flip[1]], np.float32),
                "klass": one_hot(klass)[None],
            }
            logits = self._session.run(None, feed)
            sums = [a + b for a, b in zip(sums, logits, strict=True)] if sums else list(logits)
        scale = turns * (self.limits.temperature if temperature is None else temperature)
        return Answer(*(_softmax(logits[0] / scale) for logits in sums))


_FLIPS: Final = ((1, 1), (1, -1), (-1, 1), (-1, -1))


@lru_cache(maxsize=2)
def shared_network(model: Path | None = None) -> SlotNetwork:
    """One network for all cameras of a process; raises NetError."""
    return SlotNetwork(model)


def square_mask(polygon: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """A crop's polygon as (SIDE, SIDE) 0/1; `shape` of the crop."""
    filled = np.zeros((SIDE, SIDE), np.uint8)
    at = polygon * np.array([SIDE / shape[1], SIDE / shape[0]], np.float32)
    cv2.fillPoly(filled, [np.round(at).astype(np.int32)], 1)
    return filled


def _softmax(logits: npt.NDArray[Any]) -> Distribution:
    powers = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return np.asarray(powers / powers.sum(), np.float64)
