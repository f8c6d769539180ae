"""The slot judge's network: one trunk that sees a single picture, one head that sees a pair of them.

Absolute answers (how many lie here, is it readable) come from one picture alone; relative ones (how many came or left)
from the pair. They share the trunk and nothing else, so that their agreement means something. Needs torch; only
training imports it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vision.judging.classes import KLASSES, MOST, STATES, STEPS

_WIDE, _DEEP = 40, 64


class SlotNet(nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
    """(before, after, mask, klass) → counts before and after, change, state of the pair, state of `after` alone.

    Pictures: (N, 3, S, S) float32, see `vision.judging.net.prepare`; mask (N, 1, S, S); klass (N, len(KLASSES)).
    All outputs are logits: (N, MOST + 1) twice, (N, 2 * STEPS + 1), (N, len(STATES)) twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), *_conv(16, 24), *_conv(24, _WIDE, stride=2), _Block(_WIDE))
        self.deep = nn.Sequential(*_conv(_WIDE, _DEEP, stride=2), _Block(_DEEP))
        self.density = nn.Conv2d(_WIDE + _DEEP, 1, 1)
        kinds = len(KLASSES)
        self.count = _head(2 * _DEEP + 2 + kinds, MOST + 1)
        self.alone = _head(2 * _DEEP + kinds, len(STATES))
        self.pair = nn.Sequential(*_conv(3 * _DEEP, _DEEP, size=1), _Block(_DEEP))
        self.fine = nn.Sequential(*_conv(_WIDE, 24, stride=2), *_conv(24, 24))
        self.change = _head(2 * (_DEEP + 24) + 1 + kinds, 2 * STEPS + 1)
        self.state = _head(2 * (_DEEP + 24) + kinds, len(STATES))

    def forward(self, before: Tensor, after: Tensor, mask: Tensor, klass: Tensor) -> tuple[Tensor, ...]:
        return self.judged(before, after, mask, klass)[0]

    def judged(self, before: Tensor, after: Tensor, mask: Tensor, klass: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """The outputs, and the sum of the density map over `after`, (N, 1): a count that is not rounded."""
        half = nn.functional.avg_pool2d(mask, 4)
        shallow_b, deep_b, pooled_b, total_b = self._alone(before, mask, half)
        shallow_a, deep_a, pooled_a, total_a = self._alone(after, mask, half)
        joint = self.pair(torch.cat([deep_b, deep_a, torch.abs(deep_b - deep_a)], 1))
        fine = self.fine((shallow_a - shallow_b) * half)
        both = torch.cat([_pool(joint), _pool(fine)], 1)
        outputs = (
            self.count(torch.cat([pooled_b, total_b, total_b.sqrt(), klass], 1)),
            self.count(torch.cat([pooled_a, total_a, total_a.sqrt(), klass], 1)),
            self.change(torch.cat([both, total_a - total_b, klass], 1)),
            self.state(torch.cat([both, klass], 1)),
            self.alone(torch.cat([pooled_a, klass], 1)),
        )
        return outputs, total_a

    def _alone(self, picture: Tensor, mask: Tensor, half: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        shallow = self.stem(torch.cat([picture, mask], 1))
        deep = self.deep(shallow)
        wide = nn.functional.interpolate(deep, scale_factor=2.0, mode="nearest")
        density = nn.functional.softplus(self.density(torch.cat([shallow, wide], 1)) - 4.0) * half
        total = density.flatten(1).sum(1, keepdim=True) + 1e-3
        return shallow, deep, _pool(deep), total


class _Block(nn.Module):  # type: ignore[misc]  # as above
    def __init__(self, wide: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*_conv(wide, wide))
        self.second = nn.Sequential(nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


def _conv(inside: int, outside: int, stride: int = 1, size: int = 3) -> list[nn.Module]:
    return [
        nn.Conv2d(inside, outside, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    ]


def _head(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inside, 64), nn.ReLU(inplace=True), nn.Linear(64, outside))


def _pool(x: Tensor) -> Tensor:
    return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
