"""PH-Net as a training task: the energy loss of `DenseTask`."""

from __future__ import annotations

from typing import Any

from offline.surrogates.dense.predict import DensePredictor
from offline.surrogates.dense.task import DenseTask, LossSettings
from offline.surrogates.phnet.network import PHNetConfig
from offline.surrogates.registry import Architecture
from offline.surrogates.training import TrainOptions

__all__ = ["ARCHITECTURE", "KIND", "PHNetTask", "load_predictor"]

KIND = "phnet"  # in the cards of weights


class PHNetTask(DenseTask):
    """Trains a `PHNet` without labels, see `DenseTask`.

    The paper's sets are the families ``tubular-gyroid`` (60 000 cells), ``truss`` and ``psl``.
    """

    kind = KIND


def load_predictor(stem: Any, device: str = "cpu") -> DensePredictor:
    """Trained weights in use; see `DensePredictor.load`."""
    return DensePredictor.load(stem, device, kind=KIND, config_type=PHNetConfig)


ARCHITECTURE = Architecture(
    name=KIND,
    about="a dense U-Net that sees the stiffness of every voxel, parallelepipeds as cubes",
    settings=(PHNetConfig, LossSettings),
    recipe=TrainOptions(epochs=66, learning_rate=5e-4, schedule="constant", warm_up=0),
    batch=8,
    make_task=PHNetTask,
    predictor=load_predictor,
)
