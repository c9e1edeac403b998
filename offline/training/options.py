"""What training is asked for and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from matnet.errors import ParameterError
from matnet.network import KINDS, MAX_DEPTH, Network

__all__ = ["OPTIMIZERS", "Candidate", "History", "TrainingOptions", "TrainingResult"]

OPTIMIZERS = ("levenberg-marquardt", "adam")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How a network is fitted to labels.

    Parameters
    ----------
    network : {"imn", "dmn"}
    depth : int
        Layers of the network, 1 to 10.
    optimizer : {"levenberg-marquardt", "adam"}
        The compiled default, or the documents' recipe in eager PyTorch.
    starts : int
        Random starts of the shallow network that is grown to `depth`; the best one goes on.
    start_depth : int
        Layers of that shallow network; more when the phases need it.
    start_iterations, max_iterations : int
        Levenberg-Marquardt iterations of each start, and of each depth after it.
    start_samples : int
        Training samples that the shallow starts use.
    full_starts : int
        Random starts of the full network, twice `max_iterations` each, that compete with the
        grown one. Growth is quick and safe; full starts win where many interfaces matter.
    validation_fraction : float
        Share of the labels that training never sees, in (0, 1).
    seed : int
        Decides the split, the starts and the growth.
    epochs, batch_size, learning_rate : int, int, float
        Of "adam"; the documents use 10 000 epochs, batches of 20 to 256 and 1e-2.

    Raises
    ------
    ParameterError
        A value is unknown or out of range.
    """

    network: str = "imn"
    depth: int = 7
    optimizer: str = "levenberg-marquardt"
    starts: int = 4
    start_depth: int = 5
    start_iterations: int = 60
    max_iterations: int = 60
    start_samples: int = 200
    full_starts: int = 3
    validation_fraction: float = 0.2
    seed: int = 0
    epochs: int = 10_000
    batch_size: int = 40
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        _require_one_of("network", self.network, KINDS)
        _require_one_of("optimizer", self.optimizer, OPTIMIZERS)
        if not 1 <= self.depth <= MAX_DEPTH:
            raise ParameterError(f"depth is {self.depth}, expected 1 to {MAX_DEPTH}.")
        for name in ("starts", "start_depth", "start_iterations", "max_iterations"):
            _require_positive(name, getattr(self, name))
        for name in ("start_samples", "epochs", "batch_size", "learning_rate"):
            _require_positive(name, getattr(self, name))
        if self.full_starts < 0:
            raise ParameterError(f"full_starts is {self.full_starts}, expected a number >= 0.")
        if not 0.0 < self.validation_fraction < 1.0:
            raise ParameterError(
                f"validation_fraction is {self.validation_fraction}, expected between 0 and 1."
            )
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}, expected a whole number >= 0.")


@dataclass(frozen=True, slots=True)
class History:
    """Per iteration (or epoch) of the run that led to the network.

    Attributes
    ----------
    loss : tuple of float
        Mean squared relative error that the optimiser saw.
    training, validation : tuple of float
        Mean relative Frobenius error of both parts of the labels.
    seconds : tuple of float
        Time since training began, the other starts included.
    """

    loss: tuple[float, ...] = ()
    training: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A judged network: the end of a stage of training, or an iterate on the way there.

    Attributes
    ----------
    stage : str
        Which stage.
    iteration : int
        Of the stage, from 1.
    at_end : bool
        Whether the stage ended with it.
    depth : int
        Layers.
    elastic : float
        Mean validation error of the effective stiffness.
    inelastic : tuple of float
        Error along each path that the judge knows, infinite where the network failed.
    chosen : bool
        Whether training returned it.
    """

    stage: str
    iteration: int
    at_end: bool
    depth: int
    elastic: float
    inelastic: tuple[float, ...]
    chosen: bool = False

    @property
    def mean(self) -> float:
        """Mean inelastic error."""
        return float(np.mean(self.inelastic))

    @property
    def worst(self) -> float:
        """Largest inelastic error of a path."""
        return float(np.max(self.inelastic))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingResult:
    """A fitted network and how well it fits.

    Attributes
    ----------
    network : Network
        With the errors below on its card.
    history : History
    train_mean, train_worst, validation_mean, validation_worst : float
        Relative Frobenius error of the effective stiffness.
    validation_indices : (n_validation,) int array
        Labels that training did not see.
    starts : tuple of float
        Mean training error that each start reached.
    seconds : float
        Wall time; of this call only, when training was resumed.
    candidates : tuple of Candidate
        In the order of training; empty without a judge.
    """

    network: Network
    history: History
    train_mean: float
    train_worst: float
    validation_mean: float
    validation_worst: float
    validation_indices: np.ndarray = field(repr=False)
    starts: tuple[float, ...]
    seconds: float
    candidates: tuple[Candidate, ...] = ()

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that became the network, if there was a judge."""
        return next((candidate for candidate in self.candidates if candidate.chosen), None)

    def __str__(self) -> str:
        return (
            f"{self.network}\n"
            f"validation error mean {100 * self.validation_mean:.2f} %, "
            f"worst {100 * self.validation_worst:.2f} % "
            f"(training {100 * self.train_mean:.2f} %) in {self.seconds:.0f} s"
        )


def _require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ParameterError(f"{name} is '{value}', expected one of {', '.join(known)}.")


def _require_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ParameterError(f"{name} is {value}, expected a positive number.")
