"""Fitting material networks to labels."""

from offline.training.conversion import dmn_from_parameters, imn_from_parameters
from offline.training.options import History, TrainingOptions, TrainingResult
from offline.training.train import train

__all__ = [
    "History",
    "TrainingOptions",
    "TrainingResult",
    "dmn_from_parameters",
    "imn_from_parameters",
    "train",
]
