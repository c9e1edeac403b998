"""PH-Net as a training task: the energy loss of `DenseTask`."""

from __future__ import annotations

from typing import Any

from matnet.errors import ParameterError
from offline.surrogates.dense.predict import DensePredictor
from offline.surrogates.dense.task import DenseTask, LossSettings
from offline.surrogates.phnet.network import HALVINGS, PHNetConfig
from offline.surrogates.registry import Architecture
from offline.surrogates.stream import DataOptions
from offline.surrogates.training import TrainOptions

__all__ = ["ARCHITECTURE", "KIND", "PHNetTask", "load_predictor"]

KIND = "phnet"  # in the cards of weights


class PHNetTask(DenseTask):
    """Trains a `PHNet` without labels, see `DenseTask`.

    The paper's sets are the families ``tubular-gyroid`` (60 000 cells), ``truss`` and ``psl``.

    Parameters
    ----------
    data : DataOptions
    config : PHNetConfig
    settings : LossSettings

    Raises
    ------
    ParameterError
        The network cannot take cells of these families, or a batch has one voxel on the coarsest
        grid, too few for batch norm.
    """

    kind = KIND

    def __init__(self, data: DataOptions, config: PHNetConfig, settings: LossSettings) -> None:
        super().__init__(data, config, settings)
        if data.batch * (data.resolution // 2**HALVINGS) ** 3 < 2:
            raise ParameterError(
                f"batch is 1 at {data.resolution} voxels per axis: the coarsest grid has one "
                "voxel, and batch norm needs two. Take larger batches or a higher resolution."
            )


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
