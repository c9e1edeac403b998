"""The training loop, on linear regression."""

import csv
import os
import signal

import pytest
import torch

from matnet.errors import ConvergenceError, FileFormatError, ParameterError
from offline.surrogates import weights
from offline.surrogates.training import TrainOptions, train
from offline.surrogates.training.checkpoint import read_checkpoint

QUICK = TrainOptions(
    epochs=4, learning_rate=0.05, warm_up=3, device="cpu", tensorboard=False, checkpoint_steps=4
)


def options(**changes):
    values = {name: getattr(QUICK, name) for name in QUICK.__dataclass_fields__}
    return TrainOptions(**{**values, **changes})


def vector(module):
    return torch.cat([value.detach().ravel() for value in module.state_dict().values()])


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"optimizer": "adamw", "schedule": "constant", "learning_rate": 0.03},
        {"optimizer": "sgd", "schedule": "one-cycle", "clip": None},
        {"schedule": "plateau"},
        {"precision": "mixed"},
        {"optimizer": "muon", "learning_rate": 0.3},
    ],
    ids=["adam", "adamw", "one-cycle", "plateau", "mixed", "muon"],
)
def test_finds_the_true_weights(linear, tmp_path, chosen):
    found = train(linear.LinearTask(), options(epochs=80, **chosen), tmp_path)
    tolerance = 0.05 if chosen.get("precision") == "mixed" else 5e-3
    torch.testing.assert_close(
        found.module[1].weight.detach(), linear.TRUE, atol=tolerance, rtol=0.0
    )
    assert found.status == "finished" and found.steps == 80 * 6
    assert found.best == min(row["validation"] for row in found.history)


class Killed(Exception):
    """What ends a process without warning, as far as the loop is concerned."""


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("step", [1, 4, 11, 18, 24], ids=lambda s: f"step{s}")
def test_killed_run_ends_with_the_same_weights_bit_for_bit(linear, tmp_path, step, optimizer):
    chosen = options(optimizer=optimizer)

    def fail(call, batch):
        if call == step:
            raise Killed
        return batch

    whole = train(linear.LinearTask(dropout=0.3), chosen, tmp_path / "whole")
    with pytest.raises(Killed):
        train(linear.LinearTask(dropout=0.3, before=fail), chosen, tmp_path / "cut")
    second = linear.LinearTask(dropout=0.3)
    resumed = train(second, chosen, tmp_path / "cut")
    assert torch.equal(vector(whole.module), vector(resumed.module))
    assert rows(tmp_path / "whole") == rows(tmp_path / "cut")
    checkpoints = [0, *sorted({*range(4, 25, 4), *range(6, 25, 6)})]
    assert second.calls == 24 - max(c for c in checkpoints if c < step)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_step_keeps_a_checkpoint_and_loses_nothing(linear, tmp_path, number):
    def interrupt(call, batch):
        if call == 9:
            os.kill(os.getpid(), number)
        return batch

    with pytest.raises(KeyboardInterrupt):
        train(linear.LinearTask(before=interrupt), options(checkpoint_steps=0), tmp_path / "cut")
    second = linear.LinearTask()
    resumed = train(second, options(checkpoint_steps=0), tmp_path / "cut")
    whole = train(linear.LinearTask(), options(checkpoint_steps=0), tmp_path / "whole")
    assert second.calls == 24 - 9
    assert torch.equal(vector(whole.module), vector(resumed.module))


def test_finished_run_is_not_trained_again(linear, tmp_path):
    first = train(linear.LinearTask(), QUICK, tmp_path)
    task = linear.LinearTask()
    again = train(task, QUICK, tmp_path)
    assert task.calls == 0 and again.history == first.history
    assert torch.equal(vector(first.module), vector(again.module))


def test_best_weights_are_those_of_the_smallest_validation(linear, tmp_path):
    task = linear.LinearTask(validations=[3.0, 1.0, 2.0, 1.5])
    found = train(task, QUICK, tmp_path / "long")
    assert (found.best, found.best_epoch) == (1.0, 2)
    best = weights.load(tmp_path / "long" / "best", kind="linear")
    final = weights.load(tmp_path / "long" / "final", kind="linear")
    torch.testing.assert_close(final.tensors["1.weight"], found.module[1].weight.detach())
    assert best.card["training"]["epochs_done"] == 2 and best.card["last_epoch"]["validation"] == 1
    assert final.card["training"]["status"] == "finished"
    # the same steps up to epoch 2, in the checkpoint of a run that ends there
    halted = linear.LinearTask(validations=[3.0, 1.0], before=halt_at(13))
    with pytest.raises(Killed):
        train(halted, QUICK, tmp_path / "short")
    module = halted.module()
    read_checkpoint(
        tmp_path / "short" / "checkpoint.pt",
        {"module": module},
        {**QUICK.fixed(), **halted.card(), "processes": 1},
        torch.device("cpu"),
    )
    torch.testing.assert_close(best.tensors["1.weight"], module[1].weight.detach(), rtol=0, atol=0)


def test_run_started_anew_leaves_nothing_of_the_old_one(linear, tmp_path):
    train(linear.LinearTask(), QUICK, tmp_path)
    blind = linear.LinearTask(validations=[float("nan")] * 4)
    (tmp_path / "notes.txt").write_text("mine")
    found = train(blind, QUICK, tmp_path, anew=True)
    assert found.best_epoch == 0 and not (tmp_path / "best.safetensors").exists()
    assert (tmp_path / "final.safetensors").exists() and (tmp_path / "notes.txt").exists()
    assert weights.load(tmp_path / "final").card["last_epoch"]["validation"] is None


def halt_at(number):
    def halt(call, batch):
        if call == number:
            raise Killed
        return batch

    return halt


def test_gradient_is_clipped_to_the_asked_norm(linear, tmp_path):
    """One plain SGD step moves the weights by rate times clip, whatever the gradient."""
    chosen = options(
        epochs=1, optimizer="sgd", momentum=0.0, schedule="constant", warm_up=0, clip=0.2
    )
    task = linear.LinearTask(batch=linear.CELLS)
    torch.manual_seed(0)
    start = vector(task.module())
    found = train(task, chosen, tmp_path)
    assert float((vector(found.module) - start).norm()) == pytest.approx(0.05 * 0.2, rel=1e-5)


def test_one_batch_without_finite_loss_is_skipped(linear, tmp_path):
    task = linear.LinearTask(before=lambda call, batch: batch * float("nan" if call == 5 else 1))
    found = train(task, options(epochs=60), tmp_path)
    torch.testing.assert_close(found.module[1].weight.detach(), linear.TRUE, atol=5e-3, rtol=0)
    assert found.steps == 360


def test_loss_that_stays_not_finite_is_an_error(linear, tmp_path):
    task = linear.LinearTask(before=lambda call, batch: batch * float("nan" if call > 7 else 1))
    with pytest.raises(ConvergenceError) as stopped:
        train(task, options(most_skipped=3), tmp_path)
    assert str(stopped.value) == (
        "training: loss nan and gradient norm nan in step 11 of epoch 2, the 4th step in a row "
        "without finite numbers. Try a lower learning rate, a longer warm-up, or precision float32."
    )


def test_folder_of_a_run_with_other_options_is_refused(linear, tmp_path):
    train(linear.LinearTask(), QUICK, tmp_path)
    with pytest.raises(ParameterError) as refused:
        train(linear.LinearTask(), options(learning_rate=0.01), tmp_path)
    assert str(refused.value) == (
        f"{tmp_path / 'checkpoint.pt'}: belongs to a run with learning_rate = 0.05, asked is "
        "0.01. Choose another folder, or start anew with --force."
    )
    with pytest.raises(ParameterError, match=r"with config\.dropout = 0\.0, asked is 0\.5"):
        train(linear.LinearTask(dropout=0.5), QUICK, tmp_path)
    anew = train(linear.LinearTask(), options(learning_rate=0.01), tmp_path, anew=True)
    assert anew.steps == 24


@pytest.mark.parametrize("damage", [b"", b"nonsense", "cut"])
def test_damaged_checkpoint_is_refused(linear, tmp_path, damage):
    train(linear.LinearTask(), QUICK, tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-400] if damage == "cut" else damage)
    with pytest.raises(FileFormatError) as refused:
        train(linear.LinearTask(), QUICK, tmp_path)
    assert str(refused.value) == (
        f"{path}: no readable checkpoint. Remove it, or start anew with --force."
    )


def test_training_begins_with_the_weights_that_were_named(linear, tmp_path):
    first = train(linear.LinearTask(), options(epochs=40), tmp_path / "first")
    fine = options(epochs=1, learning_rate=1e-9, start=tmp_path / "first" / "final")
    second = train(linear.LinearTask(), fine, tmp_path / "second")
    torch.testing.assert_close(vector(second.module), vector(first.module), atol=1e-6, rtol=0.0)
    card = weights.load(tmp_path / "second" / "final").card
    assert card["start"]["sha256"] == weights.load(tmp_path / "first" / "final").card["sha256"]
    assert card["start"]["steps"] == first.steps
    assert str(tmp_path) not in str(card)
    with pytest.raises(ParameterError, match="start"):
        train(linear.LinearTask(), options(epochs=2, start=None), tmp_path / "second")


@pytest.mark.parametrize("anew", [False, True], ids=["go on", "anew"])
def test_run_does_not_replace_the_weights_that_it_begins_with(linear, tmp_path, anew):
    train(linear.LinearTask(), options(epochs=1), tmp_path / "run")
    before = weights.load(tmp_path / "run" / "best").card["sha256"]
    for start in (tmp_path / "run", tmp_path / "run" / "best.json", tmp_path / "run" / "final"):
        with pytest.raises(ParameterError, match="the run would replace these weights"):
            train(linear.LinearTask(), options(start=start), tmp_path / "run", anew=anew)
    assert weights.load(tmp_path / "run" / "best").card["sha256"] == before


def test_killed_fine_tuning_ends_with_the_same_weights_bit_for_bit(linear, tmp_path):
    def fail(call, batch):
        if call == 11:
            raise Killed
        return batch

    train(linear.LinearTask(), options(epochs=1), tmp_path / "first")
    fine = options(start=tmp_path / "first")
    whole = train(linear.LinearTask(), fine, tmp_path / "whole")
    with pytest.raises(Killed):
        train(linear.LinearTask(before=fail), fine, tmp_path / "cut")
    resumed = train(linear.LinearTask(), fine, tmp_path / "cut")
    assert torch.equal(vector(whole.module), vector(resumed.module))
    train(linear.LinearTask(), options(epochs=2), tmp_path / "first", anew=True)
    with pytest.raises(ParameterError, match="belongs to a run with start"):
        train(linear.LinearTask(), fine, tmp_path / "cut")


def test_weights_of_another_kind_are_no_beginning(linear, tmp_path):
    weights.save(tmp_path / "other", torch.nn.Linear(4, 1), {"kind": "cgins", "config": {}})
    with pytest.raises(FileFormatError, match="weights of 'cgins', expected 'linear'"):
        train(linear.LinearTask(), options(start=tmp_path / "other"), tmp_path / "run")


def test_time_limit_ends_the_schedule_with_the_time(linear, tmp_path, monkeypatch):
    """A clock of 6 s per step: 0.5 minutes are 5 steps, and the rate falls to nothing in them."""
    task = linear.LinearTask()
    now = [0.0]

    def tick(call, batch):
        now[0] += 6.0
        return batch

    task.before = tick
    monkeypatch.setattr("offline.surrogates.training.loop.time.monotonic", lambda: now[0])
    rates = []
    found = train(
        task,
        options(minutes=0.5, warm_up=0),
        tmp_path,
        report=lambda p: rates.append(p.learning_rate),
    )
    assert found.status == "out of time" and found.steps == 5 and found.seconds == 30.0
    assert rates == pytest.approx([0.05, 0.0452254, 0.0327254, 0.0172746, 0.0047746], rel=1e-5)
    assert weights.load(tmp_path / "final").card["training"]["status"] == "out of time"
    longer = train(task, options(minutes=100.0, warm_up=0), tmp_path)
    assert longer.status == "finished" and longer.steps == 24 and len(longer.history) == 4


def test_metrics_hold_a_row_per_epoch(linear, tmp_path):
    found = train(linear.LinearTask(), QUICK, tmp_path)
    table = rows(tmp_path)
    assert [float(row["step"]) for row in table] == [6.0, 12.0, 18.0, 24.0]
    assert list(table[0]) == ["epoch", "step", "loss", "rate", "learning_rate", "validation"]
    assert float(table[-1]["loss"]) == found.history[-1]["loss"]


def test_event_files_hold_the_curves(linear, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = train(linear.LinearTask(), options(tensorboard=True), tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path / "events")).Reload()
    assert {"loss", "learning_rate", "gradient", "epoch/validation"} <= set(
        events.Tags()["scalars"]
    )
    assert [point.step for point in events.Scalars("loss")] == [10, 20]
    assert events.Scalars("epoch/validation")[-1].value == pytest.approx(
        found.history[-1]["validation"], rel=1e-6
    )


def test_report_tells_epoch_step_and_loss(linear, tmp_path):
    seen = []
    found = train(linear.LinearTask(), QUICK, tmp_path, report=seen.append)
    assert [p.step for p in seen] == list(range(1, 25)) and seen[-1].steps == 24
    assert [p.epoch for p in seen] == [e for e in (1, 2, 3, 4) for _ in range(6)]
    assert [seen[i].loss for i in (5, 11, 17, 23)] == [row["loss"] for row in found.history]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"schedule": "linear"}, "schedule is 'linear', expected one of cosine, one-cycle, plat"),
        ({"optimizer": "lbfgs"}, "optimizer is 'lbfgs', expected one of adam, adamw, muon, sgd."),
        ({"precision": "half"}, "precision is 'half', expected one of float32, mixed."),
        ({"device": "tpu"}, "device is 'tpu', expected one of auto, cpu, cuda."),
        ({"epochs": 0}, "epochs is 0, expected a positive number."),
        ({"learning_rate": float("nan")}, "learning_rate is nan, expected a positive number."),
        ({"warm_up": -1}, "warm_up is -1, expected a number >= 0."),
        ({"momentum": 1.0}, r"momentum is 1.0, expected a number in \[0, 1\)."),
        ({"minutes": 0.0}, "minutes is 0.0, expected a positive number."),
    ],
)
def test_wrong_options_are_named(wrong, message):
    with pytest.raises(ParameterError, match=message):
        options(**wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_named(linear, tmp_path):
    with pytest.raises(
        ParameterError, match=r"device is 'cuda', but torch finds no GPU. Take auto"
    ):
        train(linear.LinearTask(), options(device="cuda"), tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_trains_on_the_gpu(linear, tmp_path, precision):
    class OnDevice(linear.LinearTask):
        def loss(self, module, batch, learning_rate):
            error = module(batch).float() - batch @ linear.TRUE.T.cuda()
            return {"loss": (error**2).mean()}

        def validate(self, module):
            return {"validation": float(module(self.x.cuda()).float().mean())}

    found = train(OnDevice(), options(epochs=80, device="cuda", precision=precision), tmp_path)
    torch.testing.assert_close(
        found.module[1].weight.detach().cpu(), linear.TRUE, atol=0.05, rtol=0
    )
