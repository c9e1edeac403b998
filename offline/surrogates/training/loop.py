"""The training loop: steps, checkpoints, validation, and the weights at the end."""

from __future__ import annotations

import itertools
import math
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import matnet
from matnet.errors import ConvergenceError, ParameterError
from offline.surrogates import weights
from offline.surrogates.training.ahead import ahead
from offline.surrogates.training.checkpoint import RunState, read_checkpoint, write_checkpoint
from offline.surrogates.training.distributed import Group, process_group
from offline.surrogates.training.interrupt import Interruption
from offline.surrogates.training.log import EVERY, Events, write_metrics
from offline.surrogates.training.optimizer import make_optimizer
from offline.surrogates.training.options import Progress, TrainOptions, TrainResult
from offline.surrogates.training.schedule import learning_rate, momentum
from offline.surrogates.training.task import TrainingTask

__all__ = ["CHECKPOINT", "train"]

CHECKPOINT, METRICS, EVENTS = "checkpoint.pt", "metrics.csv", "events"
WEIGHTS = BEST, FINAL = "best", "final"
Report = Callable[[Progress], None]


def train(
    task: TrainingTask,
    options: TrainOptions,
    out: str | Path,
    *,
    anew: bool = False,
    report: Report | None = None,
) -> TrainResult:
    """Train a task's module; a run that is found in the folder goes on.

    On one CPU process, a run that was killed and started again ends with the same weights, bit
    for bit, as one that was not: batches and random numbers are functions of the step alone, and
    checkpoints hold the rest. Under `torchrun`, processes share every step and average gradients.

    Parameters
    ----------
    task : TrainingTask
    options : TrainOptions
    out : path
        Folder, made if missing: checkpoint.pt, metrics.csv, events/, and the weights with the
        smallest validation and at the end (best and final: .safetensors with a .json card).
    anew : bool
        Ignore an older run in the folder and replace it.
    report : callable, optional
        Called after every step with a `Progress`.

    Raises
    ------
    ParameterError
        The folder holds a run with other options or the weights to begin with, or the device is
        not there.
    FileFormatError
        The checkpoint is damaged, or the weights to begin with are, or do not fit the module.
    ConvergenceError
        The loss stayed not finite for more steps than `options.most_skipped`.
    KeyboardInterrupt
        After SIGINT or SIGTERM, with a checkpoint of the last finished step.
    """
    folder = Path(out)
    _require_kept(options.start, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with process_group(options.device) as group, Interruption() as interruption:
        if anew and group.first:
            _clear(folder)
        run = _Run(task, options, folder, group, anew=anew)
        try:
            return run.to_the_end(interruption, report or (lambda progress: None))
        finally:
            run.close()


def _require_kept(start: str | Path | None, folder: Path) -> None:
    """Weights to begin with must not be among those that the run replaces."""
    if start is None:
        return
    stem = weights.stem_of(start)
    if stem.name in WEIGHTS and stem.parent.resolve() == folder.resolve():
        raise ParameterError(
            f"{start}: the run would replace these weights to begin with. Choose another folder "
            f"than '{folder}' for it."
        )


def _clear(folder: Path) -> None:
    """Remove what an older run left, so that nothing of it is taken for the new one's."""
    shutil.rmtree(folder / EVENTS, ignore_errors=True)
    pairs = [f"{name}{suffix}" for name in WEIGHTS for suffix in (".safetensors", ".json")]
    for name in (CHECKPOINT, METRICS, *pairs):
        (folder / name).unlink(missing_ok=True)


class _Run:
    """A run: the parts that a checkpoint holds, and what moves them on."""

    def __init__(
        self, task: TrainingTask, options: TrainOptions, folder: Path, group: Group, *, anew: bool
    ) -> None:
        self.task, self.options, self.folder, self.group = task, options, folder, group
        self.steps = task.steps(group.world)
        torch.manual_seed(options.seed)
        self.module, origin = task.module(), {}
        if options.start is not None:
            origin = _begin_with(self.module, options.start, task.card()["kind"])
        self.module.to(group.device)
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(self.parameters, options)
        self.dtype = _autocast_dtype(options, group.device)
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=self.dtype is torch.float16)
        self.parts = {
            "module": self.module,
            "optimizer": self.optimizer,
            "scaler": self.scaler,
        }
        self.card = {**task.card(), **origin}
        self.identity = {**options.fixed(), **self.card, "processes": group.world}
        self.state = RunState()
        path = folder / CHECKPOINT
        if path.exists() and not anew:
            self.state = read_checkpoint(path, self.parts, self.identity, group.device)
        self.wrapped = group.wrapped(self.module)
        self.started = time.monotonic() - self.state.seconds
        self.last_checkpoint = time.monotonic()
        writes = group.first and options.tensorboard
        self.events = Events(folder / EVENTS, self.state.step) if writes else None

    def to_the_end(self, interruption: Interruption, report: Report) -> TrainResult:
        """Run the epochs that are left."""
        while self.state.epoch < self.options.epochs and not self._out_of_time():
            self._run_epoch(interruption, report)
        status = "finished"
        if self.state.epoch < self.options.epochs:
            status = "out of time"
            if self.state.done:
                self._end_epoch()  # not in the checkpoint: with more time the epoch goes on
        return self._finish(status)

    def close(self) -> None:
        if self.events is not None:
            self.events.close()

    def _run_epoch(self, interruption: Interruption, report: Report) -> None:
        state, group = self.state, self.group
        batches = self.task.batches(state.epoch, group.rank, group.world, state.done)
        wanted = itertools.islice(batches, self.steps - state.done)
        ready = ahead(lambda batch: self.task.prepare(batch, group.device), wanted)
        self.module.train()
        for batch in ready:
            stop = self._step(batch, interruption)
            report(self._progress())
            if stop:
                self._save()
                raise KeyboardInterrupt
            if self._checkpoint_due():
                self._save()
            if self._out_of_time():
                self._save()
                return
        self._end_epoch()
        self._save()

    def _step(self, batch: Any, interruption: Interruption) -> bool:
        """One step of the optimiser; whether some process was told to stop."""
        state, options = self.state, self.options
        progress = self._share_done()
        rate = learning_rate(options, state.step, progress, state.plateau.factor)
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
            if options.optimizer == "sgd":
                settings["momentum"] = momentum(options, progress)
        # random layers depend on the step, not on what ran before: a resumed run draws the same
        torch.manual_seed(_seed(options.seed, state.step, self.group.rank))
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            losses = self.task.loss(self.wrapped, batch, rate)
        self.scaler.scale(losses["loss"]).backward()
        self.scaler.unscale_(self.optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, options.clip or math.inf))
        values = {name: float(value.detach()) for name, value in losses.items()}
        *means, stop, state.seconds = self.group.mean(
            [*values.values(), float(interruption.wanted), time.monotonic() - self.started]
        )
        values = dict(zip(values, means, strict=True))
        if math.isfinite(values["loss"]) and math.isfinite(norm):
            self.scaler.step(self.optimizer)
            state.skipped = 0
            for name, value in values.items():
                state.sums[name] = state.sums.get(name, 0.0) + value
            state.sums["steps"] = state.sums.get("steps", 0.0) + 1.0
        else:
            self._skip(values["loss"], norm)
        self.scaler.update()
        state.step += 1
        state.done += 1
        if self.events is not None and state.step % EVERY == 0:
            self.events.add({**values, "learning_rate": rate, "gradient": norm}, state.step)
        return stop > 0.0

    def _skip(self, loss: float, norm: float) -> None:
        self.state.skipped += 1
        if self.state.skipped > self.options.most_skipped:
            raise ConvergenceError(
                f"training: loss {loss:g} and gradient norm {norm:g} in step "
                f"{self.state.step + 1} of epoch {self.state.epoch + 1}, the "
                f"{self.state.skipped}th step in a row without finite numbers. Try a lower "
                "learning rate, a longer warm-up, or precision float32."
            )

    def _end_epoch(self) -> None:
        """Validate, note the epoch's row, keep the weights if they are the best so far."""
        state = self.state
        state.epoch += 1
        found = self._validated()
        sums = dict(state.sums)
        count = sums.pop("steps", 0.0)
        row = {"epoch": float(state.epoch), "step": float(state.step)}
        row |= {name: value / count for name, value in sums.items()}
        row |= {"learning_rate": self.optimizer.param_groups[0]["lr"], **found}
        row["seconds"] = round(state.seconds, 3)
        state.history.append(row)
        state.done, state.sums = 0, {}
        value = found["validation"]
        state.plateau = state.plateau.after(value)
        if value < state.best:
            state.best, state.best_epoch = value, state.epoch
            self._write_weights(BEST)
        if self.group.first:
            write_metrics(self.folder / METRICS, state.history)
        if self.events is not None:
            self.events.add({f"epoch/{name}": v for name, v in row.items()}, state.step)

    def _validated(self) -> dict[str, float]:
        found: dict[str, float] = {}
        if self.group.first:
            self.module.eval()
            torch.manual_seed(_seed(self.options.seed, self.state.step, -1))
            with torch.no_grad():  # in single precision, as the weights will be used
                found = self.task.validate(self.module)
            self.module.train()
        return dict(self.group.from_first(found))

    def _finish(self, status: str) -> TrainResult:
        self._write_weights(FINAL, status)
        state = self.state
        return TrainResult(
            module=self.module,
            status=status,
            epochs=state.epoch,
            steps=state.step,
            seconds=state.seconds,
            best=state.best,
            best_epoch=state.best_epoch,
            history=tuple(state.history),
            folder=self.folder,
        )

    def _write_weights(self, name: str, status: str = "running") -> None:
        if not self.group.first:
            return
        state = self.state
        training = {
            **self.options.fixed(),
            "status": status,
            "epochs_done": state.epoch,
            "steps": state.step,
            "seconds": round(state.seconds, 1),
            "processes": self.group.world,
            "device": self.group.device.type,
            "torch": torch.__version__,
            "matnet": matnet.__version__,
        }
        last = state.history[-1] if state.history else {}
        # JSON has no form for infinity and NaN
        errors = {name: v if math.isfinite(v) else None for name, v in last.items()}
        card = {**self.card, "training": training, "last_epoch": errors}
        weights.save(self.folder / name, self.module, card)

    def _save(self) -> None:
        self.last_checkpoint = time.monotonic()
        if self.group.first:
            write_checkpoint(self.folder / CHECKPOINT, self.state, self.parts, self.identity)

    def _checkpoint_due(self) -> bool:
        every = self.options.checkpoint_steps
        minutes = (time.monotonic() - self.last_checkpoint) / 60.0
        return (every > 0 and self.state.step % every == 0) or (
            minutes >= self.options.checkpoint_minutes
        )

    def _share_done(self) -> float:
        """How far training is, in [0, 1], by steps or, with a time limit, by time."""
        by_steps = self.state.step / (self.options.epochs * self.steps)
        if self.options.minutes is None:
            return by_steps
        return min(1.0, max(by_steps, self.state.seconds / (60.0 * self.options.minutes)))

    def _out_of_time(self) -> bool:
        limit = self.options.minutes
        return limit is not None and self.state.seconds >= 60.0 * limit

    def _progress(self) -> Progress:
        state = self.state
        count = state.sums.get("steps", 0.0)
        return Progress(
            epoch=state.epoch + 1,
            step=state.step,
            steps=self.options.epochs * self.steps,
            loss=state.sums["loss"] / count if count else math.nan,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            validation=state.history[-1]["validation"] if state.history else math.nan,
        )

    def _autocast(self) -> Any:
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.group.device.type, dtype=self.dtype)


def _begin_with(module: torch.nn.Module, stem: str | Path, kind: str) -> dict[str, Any]:
    """Fill the module with older weights; what the new card says of them."""
    start = weights.load(weights.stem_of(stem), kind=kind)
    grown: Callable[..., Any] | None = getattr(module, "grown", None)
    if grown is not None:  # it takes up weights of smaller networks
        start = replace(start, tensors=grown(start.tensors))
    weights.fill(module, start)
    card = {**start.card.get("training", {}), **start.card}
    told = ("sha256", "data", "start", "steps", "seconds")
    return {"start": {key: card[key] for key in told if key in card}}


def _autocast_dtype(options: TrainOptions, device: torch.device) -> torch.dtype | None:
    if options.precision == "float32":
        return None
    if device.type == "cpu" or torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float16


def _seed(seed: int, step: int, rank: int) -> int:
    """A seed per step and process, well apart from one another."""
    mixed = (seed * 1_000_003 + step) * 65_537 + rank + 1
    return (mixed * 0x9E3779B97F4A7C15) % 2**63
