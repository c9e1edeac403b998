"""matnet surrogate train, with linear regression on volume fractions for an architecture."""

import json
import sys
import types
from dataclasses import dataclass

import pytest
import torch

from matnet.cli.app import run
from offline.surrogates import registry, weights
from offline.surrogates.registry import Architecture
from offline.surrogates.stream import CellStream
from offline.surrogates.training import TrainOptions


@dataclass(frozen=True)
class Line:
    slope: float = 2.0
    bias: bool = True


class LineTask:
    """Finds y = slope * volume fraction."""

    def __init__(self, data, line):
        self.data, self.line = data, line
        self.cells = CellStream(data)
        self.unseen = CellStream(data, "validation")

    def module(self):
        return torch.nn.Linear(1, 1, bias=self.line.bias)

    def steps(self, world):
        return self.cells.steps(world)

    def batches(self, epoch, rank, world, start=0):
        return self.cells.batches(epoch, rank, world, start)

    def prepare(self, batch, device):
        return torch.tensor([[sample.volume_fraction] for sample in batch], device=device)

    def loss(self, module, x, learning_rate):
        return {"loss": ((module(x) - self.line.slope * x) ** 2).mean()}

    def validate(self, module):
        x = [self.prepare(batch, "cpu") for batch in self.unseen.all_in_order()]
        losses = [self.loss(module, part, 0.0)["loss"] for part in x]
        return {"validation": float(torch.stack(losses).mean())}

    def card(self):
        return {"kind": "line", "config": {"slope": self.line.slope}, "data": self.data.card()}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An architecture 'line', and a working folder of its own."""
    module = types.ModuleType("line_architecture")
    module.ARCHITECTURE = Architecture(
        name="line",
        about="regression",
        settings=(Line,),
        recipe=TrainOptions(
            learning_rate=0.3, warm_up=2, schedule="constant", epochs=3, device="cpu"
        ),
        batch=4,
        make_task=LineTask,
    )
    monkeypatch.setitem(sys.modules, "line_architecture", module)
    monkeypatch.setattr(registry, "ARCHITECTURES", {"line": "line_architecture"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


SMALL = ("--family", "tpms", "--resolution", "8", "--cells", "12", "--validation-cells", "3")


def train(*options):
    return run(["surrogate", "train", "line", *SMALL, "--no-tensorboard", *options])


def test_json_tells_errors_and_where_the_weights_are(here, capsys):
    assert train("--epochs", "20", "--clip", "10", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "finished" and found["epochs"] == 20 and found["steps"] == 60
    assert found["parameters"] == 2 and 0.0 <= found["best_validation"] < 0.01
    assert found["last_epoch"]["validation"] >= found["best_validation"]
    best = weights.load(here / found["best"], kind="line")
    assert best.card["data"]["families"] == ["tpms"] and best.card["training"]["clip"] == 10
    assert (here / "line-tpms" / "final.safetensors").exists()


def test_table_tells_status_and_weights(here, capsys):
    assert train("-o", "runs/one", "--family", "truss") == 0
    told = capsys.readouterr()
    assert "finished, 3 of 3 epochs" in told.out and "runs/one/best.safetensors" in told.out
    assert told.err == ""
    card = weights.load(here / "runs" / "one" / "best").card
    assert card["data"]["families"] == ["tpms", "truss"]


def test_options_not_given_come_from_the_architecture(here):
    assert train("-o", "a") == 0
    card = weights.load(here / "a" / "final").card
    assert card["training"]["warm_up"] == 0  # 2 in the recipe, but there are 9 steps only
    assert card["training"]["learning_rate"] == 0.3 and card["data"]["batch"] == 4
    assert train("-o", "b", "--lr", "0.1", "--batch", "6", "--set", "slope=3", "--seed", "5") == 0
    card = weights.load(here / "b" / "final").card
    assert card["training"]["learning_rate"] == 0.1 and card["data"]["batch"] == 6
    assert card["config"] == {"slope": 3.0}
    assert card["training"]["seed"] == card["data"]["seed"] == 5


def test_run_with_other_options_is_refused_unless_forced(here, capsys):
    assert train("-o", "a") == 0
    assert train("-o", "a") == 0  # finished: nothing to do
    capsys.readouterr()
    assert train("-o", "a", "--cells", "16") == 2
    assert capsys.readouterr().err == (
        "Error: a/checkpoint.pt: belongs to a run with data.cells = 12, asked is 16. Choose "
        "another folder, or start anew with --force.\n"
    )
    assert train("-o", "a", "--cells", "16", "--force") == 0


def test_interrupted_training_is_exit_code_130_and_resumes(here, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    whole = LineTask.loss
    monkeypatch.setattr(LineTask, "loss", interrupted)
    assert train("-o", "a") == 130
    assert "surrogate train resume" in capsys.readouterr().err
    monkeypatch.setattr(LineTask, "loss", whole)
    assert train("-o", "a") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "slope"), "--set slope: expected KEY=VALUE, such as pcg_steps=4."),
        (
            ("--set", "depth=3"),
            "setting 'depth' is unknown to 'line', expected one of slope, bias.",
        ),
        (("--family", "foams"), "family 'foams' is unknown, expected one of truss, tpms, psl,"),
        (("--schedule", "linear"), "schedule is 'linear', expected one of cosine, one-cycle,"),
        (("--batch", "40"), "12 cells do not fill one step of 40. Take more cells or smaller"),
        (("-o", "taken"), "taken: is a file, expected a folder for the weights."),
    ],
)
def test_wrong_usage_is_one_sentence(here, capsys, options, message):
    (here / "taken").write_text("")
    assert train(*options) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"Error: {message}") and "Traceback" not in told


def test_unknown_architecture_is_wrong_usage(here, capsys):
    assert run(["surrogate", "train", "unet"]) == 2
    assert "architecture 'unet' is unknown, expected one of line." in capsys.readouterr().err


def test_help_names_the_verbs(here, capsys):
    assert run(["surrogate", "--help"]) == 0
    assert "train" in capsys.readouterr().out
