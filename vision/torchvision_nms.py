"""A stand-in for torchvision's compiled ``nms``, for CPU installs whose torchvision wheel was built for CUDA.

The wheel on the Python index wants CUDA libraries at import; without them ``import torchvision`` ends in ``operator
torchvision::nms does not exist``, and with it every ultralytics training. `ensure` tries the real one first and only
then registers ours.
"""

from __future__ import annotations

from typing import Any

_library: Any = None  # must live as long as the process: torch forgets the operators when it is collected


def ensure() -> bool:
    """Make ``torchvision.ops.nms`` usable. Returns True when the stand-in was needed."""
    import torch

    try:
        import torchvision

        torchvision.ops.nms(torch.zeros((1, 4)), torch.zeros(1), 0.5)
    except (RuntimeError, ImportError, AttributeError, OSError):
        _install()
        return True
    return False


def _install() -> None:
    global _library  # noqa: PLW0603  # torch forgets the operators when their library is collected
    import torch

    signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    _library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        _library.define(name + signature)
    _library.impl("nms", _nms, "CPU")
    import torchvision.extension

    torchvision.extension._has_ops = lambda: True  # noqa: SLF001  # no public way to say that ops exist


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Greedy suppression; boxes (N, 4) x0 y0 x1 y1, returns the kept indices, best score first."""
    import torch

    order = torch.argsort(scores, descending=True)
    areas = (boxes[:, 2] - boxes[:, 0]).clamp(min=0) * (boxes[:, 3] - boxes[:, 1]).clamp(min=0)
    keep = []
    while order.numel():
        best = order[0]
        keep.append(best)
        rest = order[1:]
        low = torch.maximum(boxes[best, :2], boxes[rest, :2])
        high = torch.minimum(boxes[best, 2:], boxes[rest, 2:])
        common = (high - low).clamp(min=0).prod(1)
        iou = common / (areas[best] + areas[rest] - common + 1e-9)
        order = rest[iou <= iou_threshold]
    return torch.stack(keep) if keep else torch.zeros(0, dtype=torch.int64)
