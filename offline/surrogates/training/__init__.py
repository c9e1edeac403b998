"""The training loop that all architectures share: any `TrainingTask`, one `train`."""

from offline.surrogates.training.loop import train
from offline.surrogates.training.options import Progress, TrainOptions, TrainResult
from offline.surrogates.training.task import TrainingTask

__all__ = ["Progress", "TrainOptions", "TrainResult", "TrainingTask", "train"]
