"""Train the slot judge on rendered pairs, calibrate it on others, and export it to ONNX with its sheet.

Needs torch and onnx (extra ``train``); the same seed, number of pairs and epochs give the same model on the same
machine.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vision.judging.classes import KLASSES, MOST, SIDE, STATES, STEPS
from vision.judging.examples import Examples, render_examples, scene_examples
from vision.judging.net import Limits

log = logging.getLogger(__name__)

SEEN: Final = STATES.index("seen")


class JudgeTrainingUnavailableError(RuntimeError):
    """The training packages are not installed here."""


@dataclass(frozen=True)
class JudgePlan:
    """What is to be trained.

    Attributes:
        out: folder for examples and model.
        pairs: training pairs to render of single places.
        scenes: and of places in whole racks.
        late: and of places in whole racks of seeds not seen before, weighted twice.
        epochs: passes over them.
        seed: of pairs, weights and order; calibration uses ``seed + 1``.
        batch: pairs a step.
        rate: highest learning rate.
        threads: of torch.
        start: state dict to go on from.
        minutes: stop after so long, the rate annealed by then; None: after `epochs`.
        steps: stop after so many, the rate annealed by then.
    """

    out: Path
    pairs: int = 40_000
    scenes: int = 24_000
    late: int = 0
    epochs: int = 8
    seed: int = 1
    batch: int = 64
    rate: float = 3e-3
    threads: int = 1
    start: Path | None = None
    minutes: float | None = None
    steps: int | None = None


def shipped(out: Path) -> tuple[JudgePlan, ...]:
    """How the shipped model was made: single places first, then places of whole racks among them, then new racks."""
    first = JudgePlan(out / "first", pairs=40_000, scenes=0, steps=2000, rate=3e-3)
    second = JudgePlan(
        out / "second", pairs=12_000, scenes=18_436, steps=970, rate=1.5e-3, start=first.out / "slot-judge.pt"
    )
    third = JudgePlan(
        out / "third", pairs=20_000, scenes=18_436, late=5_000, steps=3320, rate=1.2e-3,
        start=second.out / "slot-judge.pt",
    )  # fmt: skip
    return first, second, third, replace(third, out=out, steps=3900, start=third.out / "slot-judge.pt")


def make_slot_judge(out: Path, stages: Sequence[JudgePlan] | None = None, calibration: int = 2000) -> Path:
    """Train (`shipped` unless told), freeze the limits on seeds of their own, and write model and sheet into `out`.

    Args:
        out: folder; ``slot-judge.onnx`` and ``.json`` in it are what `vision.judging.make_judge` loads.
        stages: plans, one after the other; the last one's `out` must be `out`.
        calibration: pairs of each kind for the limits.
    """
    from vision.judging.calibrating import calibrate

    plans = shipped(out) if stages is None else stages
    for plan in plans:
        model = train_judge(plan)
    write_sheet(model, plans, Limits(), {})
    sets = (
        render_examples(out / "pairs-calibration", calibration, 2),
        scene_examples(out / "scenes-calibration", calibration, 8),
    )
    write_sheet(model, plans, calibrate(model, sets), {})
    return model


def train_judge(plan: JudgePlan, more: tuple[Examples, ...] = ()) -> Path:
    """Render, train and export; return the path of ``slot-judge.onnx`` (its ``.json`` sheet beside it).

    Args:
        plan: what and how long.
        more: further examples, trained on with equal weight.

    Raises:
        JudgeTrainingUnavailableError: torch is missing.
    """
    try:
        import torch

        from vision.judging.network import SlotNet
    except ImportError as missing:
        raise JudgeTrainingUnavailableError(f"training needs the 'train' extra (torch, onnx): {missing}") from missing
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    sets = (
        render_examples(plan.out / "pairs", plan.pairs, plan.seed),
        *((scene_examples(plan.out / "scenes", plan.scenes, plan.seed + 6),) if plan.scenes else ()),
        *((scene_examples(plan.out / "late", plan.late, plan.seed + 26),) * 2 if plan.late else ()),
        *more,
    )
    net = SlotNet().to(memory_format=torch.channels_last)
    if plan.start is not None:
        _go_on(net, torch.load(plan.start, weights_only=True))
    log.info("%d parameters, %d pairs", sum(p.numel() for p in net.parameters()), sum(len(s) for s in sets))
    steps = plan.steps or plan.epochs * (sum(len(s) for s in sets) // plan.batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=1e-3)
    rng = np.random.default_rng(plan.seed)
    began = time.monotonic()
    running: dict[str, float] = {}
    net.train()
    epochs = plan.epochs if plan.steps is None else 10_000
    for step, batch in enumerate(_batches(sets, epochs, plan.batch, rng)):
        done = (time.monotonic() - began) / 60 / plan.minutes if plan.minutes else step / max(steps, 1)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * _rate(done)
        inputs = {k: torch.from_numpy(v) for k, v in batch.items()}
        for name in ("before", "after"):
            inputs[name] = inputs[name].contiguous(memory_format=torch.channels_last)
        losses = _losses(net, inputs)
        total = sum(losses.values())
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        for name, loss in losses.items():
            running[name] = 0.98 * running.get(name, float(loss.detach())) + 0.02 * float(loss.detach())
        if step % 50 == 0:
            words = " ".join(f"{k} {v:.3f}" for k, v in running.items())
            log.info("step %d of %d, %.0f s: %s", step, steps, time.monotonic() - began, words)
        if step % 500 == 499:
            torch.save(net.state_dict(), plan.out / "slot-judge.pt")
    torch.save(net.state_dict(), plan.out / "slot-judge.pt")
    return export(net, plan.out / "slot-judge.onnx")


def _rate(done: float) -> float:
    """Share of the highest learning rate: up over the first twentieth, then a cosine down to nothing."""
    return min(done / 0.05, 0.5 + 0.5 * float(np.cos(np.pi * done))) if done < 1 else 0.0


def _go_on(net: Any, earlier: dict[str, Any]) -> None:
    """Weights of an earlier network; a layer that has grown keeps its old rows."""
    own = net.state_dict()
    for name, weights in earlier.items():
        part = tuple(slice(0, min(a, b)) for a, b in zip(own[name].shape, weights.shape, strict=True))
        own[name][part] = weights[part]
    net.load_state_dict(own)


def export(net: Any, target: Path) -> Path:
    """Write the network as ONNX (opset 17, batch of one picture pair)."""
    import torch

    net.eval()
    picture, mask = torch.zeros(1, 3, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE)
    klass = torch.zeros(1, len(KLASSES))
    torch.onnx.export(
        net,
        (picture, picture, mask, klass),
        str(target),
        input_names=["before", "after", "mask", "klass"],
        output_names=["count_before", "count_after", "change", "state", "alone"],
        opset_version=17,
        dynamo=False,
    )
    return target


def write_sheet(model: Path, plans: Sequence[JudgePlan], limits: Limits, figures: Mapping[str, Any]) -> Path:
    """The JSON sheet beside the model: what it is, what it was trained on, its frozen limits and figures."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    stages = [
        {
            "pairs": p.pairs,
            "scenes": p.scenes,
            "late": p.late,
            "seed": p.seed,
            "batch": p.batch,
            "rate": p.rate,
            "steps": p.steps,
        }
        for p in plans
    ]
    sheet = {
        "name": "slot-judge",
        "version": f"slotnet-{SIDE}-{digest[:8]}",
        "classes": list(KLASSES),
        "states": list(STATES),
        "side": SIDE,
        "sha256": digest,
        "trained_on": stages,
        "limits": asdict(limits),
        "figures": dict(figures),
    }
    path = model.with_suffix(".json")
    path.write_text(json.dumps(sheet, indent=1) + "\n")
    return path


def _losses(net: Any, x: dict[str, Any]) -> dict[str, Any]:
    import torch
    from torch.nn import functional

    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, total = net.judged(x["before"], x["after"], x["mask"], x["klass"])
    before, after, change, state, alone = (logits.float() for logits in outputs)
    seen = x["state"] == SEEN
    change_truth = (x["count_after"] - x["count_before"]).clamp(-STEPS, STEPS) + STEPS
    counts = torch.cat([before, after[seen]])
    truths = torch.cat([x["count_before"], x["count_after"][seen]]).clamp(0, MOST)
    cross = functional.cross_entropy
    return {
        "count": cross(counts, truths, label_smoothing=0.01),
        "change": cross(change[seen], change_truth[seen], label_smoothing=0.01),
        "state": 0.7 * cross(state, x["state"], label_smoothing=0.01),
        "alone": 0.4 * cross(alone, x["state"], label_smoothing=0.01),
        "total": 0.15 * functional.smooth_l1_loss(total[seen, 0].float(), x["count_after"][seen].float()),
    }


def _batches(
    sets: tuple[Examples, ...], epochs: int, size: int, rng: np.random.Generator
) -> Iterator[dict[str, npt.NDArray[Any]]]:
    owners = np.concatenate([np.full(len(s), i) for i, s in enumerate(sets)])
    rows = np.concatenate([np.arange(len(s)) for s in sets])
    for _ in range(epochs):
        order = rng.permutation(len(rows))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            yield _batch([(sets[owners[i]], int(rows[i])) for i in chosen], rng)


def _batch(rows: list[tuple[Examples, int]], rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """Examples with flips, quarter turns, exchange of before and after, and a little light of their own."""
    from vision.judging.net import one_hot, prepare

    columns: dict[str, list[Any]] = {k: [] for k in ("before", "after", "mask", "klass", "count_before", "count_after")}
    states = []
    for examples, i in rows:
        level_b, level_a, klass, count_b, count_a, state = examples.facts[i, :6]
        pictures, mask = examples.pictures[i], examples.masks[i]
        turn = _turn(rng)
        first, second, mask = turn(pictures[0]), turn(pictures[1]), turn(mask)
        level_b, level_a = level_b * np.exp(rng.normal(0, 0.15)), level_a * np.exp(rng.normal(0, 0.02))
        if int(state) == SEEN and rng.random() < 0.4:
            first, second, level_b, level_a = second, first, level_a, level_b
            count_b, count_a = count_a, count_b
        columns["before"].append(prepare(first, float(level_b)))
        columns["after"].append(prepare(second, float(level_a)))
        columns["mask"].append(np.ascontiguousarray(mask[None], np.float32))
        columns["klass"].append(one_hot(KLASSES[int(klass)]))
        columns["count_before"].append(int(count_b))
        columns["count_after"].append(int(count_a))
        states.append(int(state))
    batch: dict[str, npt.NDArray[Any]] = {
        k: np.stack(v) if k in ("before", "after", "mask", "klass") else np.array(v, np.int64)
        for k, v in columns.items()
    }
    return batch | {"state": np.array(states, np.int64)}


def _turn(rng: np.random.Generator) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    quarter, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)

    def turn(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        turned = np.rot90(picture, quarter)
        return turned[:, ::-1] if mirrored else turned

    return turn
