"""The training loop that all architectures share."""

from offline.surrogates.training.task import TrainingTask

__all__ = ["TrainingTask"]
