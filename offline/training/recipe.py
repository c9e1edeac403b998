r"""The documents' training recipe in eager PyTorch, kept as a named optimiser and as a yardstick.

He et al. (dmn-imn-assessment), section 2: weights ReLU(z), interface angles (theta, phi) for the
IMN and Euler angles at all nodes for the DMN, Adam from 1e-2 on mini-batches, learning rate times
0.8 when the validation loss has not improved for 50 epochs, and the loss

.. math:: \frac{1}{2 N} \sum_j \frac{\lVert C_j - \hat C_j \rVert^2}{\lVert C_j \rVert^2}
          + \eta \Big(\sum_n \mathrm{ReLU}(z_n) - \xi\Big)^2, \qquad \eta = \xi = 1 .

The documents do not say how z and the angles start: here z is uniform in [0.2, 0.8], scaled to
sum 1, and angles are uniform over their whole range. ReLU weights know nothing of volume fractions;
when the result becomes a `Network`, each phase's weights are scaled to the cell's fraction, and the
errors reported are those of the scaled network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from matnet.errors import MissingExtraError, ParameterError
from matnet.mandel import from_mandel, interface_matrix
from offline.training.conversion import dmn_from_parameters, imn_from_parameters
from offline.training.options import History, TrainingOptions, TrainingResult

if TYPE_CHECKING:
    from offline.labels import LabelSet

__all__ = ["Recipe", "train_recipe"]

ETA, XI = 1.0, 1.0
PATIENCE, FACTOR = 50, 0.8


def train_recipe(
    labels: LabelSet, options: TrainingOptions, report: Callable[[str, int, int, str], None]
) -> TrainingResult:
    """Train by the documents' recipe; see `offline.training.train`."""
    from offline.training.train import split_labels, summary

    started = time.perf_counter()
    trained, validation = split_labels(
        len(labels.effective), options.validation_fraction, options.seed
    )
    recipe = Recipe(labels, options, trained, validation)
    rows = []
    for epoch, (loss, error, unseen) in enumerate(recipe.epochs(), start=1):
        rows.append((loss, error, unseen, time.perf_counter() - started))
        report("training", epoch, options.epochs, f"validation {100 * unseen:.2f} %")
    history = History(*(tuple(column) for column in zip(*rows, strict=True)))
    return summary(
        recipe.network(),
        labels,
        validation,
        options,
        history=history,
        starts=(history.training[-1],),
        seconds=time.perf_counter() - started,
    )


class Recipe:
    """One run of the recipe: parameters, optimiser, schedule.

    Parameters
    ----------
    labels : LabelSet
    options : TrainingOptions
    trained, validation : int arrays
        Which labels the loss sees and which drive the schedule.

    Raises
    ------
    MissingExtraError
        PyTorch is not installed.
    ParameterError
        More phases than base nodes, or a phase without stiffness.
    """

    def __init__(
        self,
        labels: LabelSet,
        options: TrainingOptions,
        trained: np.ndarray,
        validation: np.ndarray,
    ) -> None:
        self.torch = torch = _torch()
        self.labels, self.options = labels, options
        self.n_base = 2**options.depth
        if len(labels.phase_names) > self.n_base:
            raise ParameterError(
                f"depth {options.depth} has {self.n_base} base nodes for "
                f"{len(labels.phase_names)} phases; take a larger depth."
            )
        _require_stiffness(labels)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.phases = torch.tensor(np.array(labels.phase_stiffness))
        self.effective = torch.tensor(np.array(labels.effective))
        self.trained, self.validation = torch.tensor(trained), torch.tensor(validation)
        self.base_phase = torch.arange(self.n_base) % len(labels.phase_names)
        self.basis = torch.tensor(interface_matrix(np.eye(3)))
        self.mandel_basis = torch.tensor(from_mandel(np.eye(6)))
        self.parameters = self._first_parameters()
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=options.learning_rate)
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=FACTOR, patience=PATIENCE
        )

    def _first_parameters(self) -> dict[str, Any]:
        torch, n = self.torch, self.n_base

        def uniform(*shape: int) -> Any:
            return torch.rand(*shape, generator=self.generator, dtype=torch.float64)

        z = 0.2 + 0.6 * uniform(n)
        values = {"z": z / z.sum()}
        if self.options.network == "imn":
            values |= {"theta": uniform(n - 1), "phi": uniform(n - 1)}
        else:
            values["angles"] = 2.0 * np.pi * uniform(2 * n - 1, 3)
        return {name: value.requires_grad_() for name, value in values.items()}

    @property
    def n_parameters(self) -> int:
        """7 * 2^N - 3 for a DMN, 3 * 2^N - 2 for an IMN."""
        return sum(value.numel() for value in self.parameters.values())

    def predict(self, index: Any) -> Any:
        """Effective stiffness (m, 6, 6) of the samples of this index."""
        torch = self.torch
        weights = torch.relu(self.parameters["z"])
        stiffness = self.phases[index][:, self.base_phase]
        turns = self._turns()
        normals = self._normals()
        for layer in range(self.options.depth, 0, -1):
            if turns is not None:
                r = turns[2**layer - 1 : 2 ** (layer + 1) - 1]
                stiffness = r @ stiffness @ r.mT
            pair = weights.reshape(-1, 2)
            weights = pair.sum(dim=1)
            # a pair of null weights has no effect on the root, whatever its fraction
            first = pair[:, 0] / torch.where(weights > 0.0, weights, 1.0)
            n = normals[2 ** (layer - 1) - 1 : 2**layer - 1]
            h = torch.einsum("nk,kij->nij", n, self.basis)
            stiffness = _laminate(torch, stiffness[:, 0::2], stiffness[:, 1::2], first, h)
        root = stiffness[:, 0]
        return root if turns is None else turns[0] @ root @ turns[0].mT

    def _normals(self) -> Any:
        torch = self.torch
        if self.options.network == "dmn":
            return torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand(self.n_base - 1, 3)
        azimuth = 2.0 * np.pi * self.parameters["theta"]
        polar = np.pi * self.parameters["phi"]
        return torch.stack(
            (azimuth.cos() * polar.sin(), azimuth.sin() * polar.sin(), polar.cos()), dim=1
        )

    def _turns(self) -> Any:
        """Mandel rotations R^T (n_nodes, 6, 6) of all nodes of a DMN."""
        if self.options.network == "imn":
            return None
        torch = self.torch
        a, b, c = self.parameters["angles"].T
        one, zero = torch.ones_like(a), torch.zeros_like(a)

        def matrix(*rows: Any) -> Any:
            return torch.stack(rows, dim=1).reshape(-1, 3, 3)

        x = matrix(one, zero, zero, zero, a.cos(), -a.sin(), zero, a.sin(), a.cos())
        y = matrix(b.cos(), zero, b.sin(), zero, one, zero, -b.sin(), zero, b.cos())
        z = matrix(c.cos(), -c.sin(), zero, c.sin(), c.cos(), zero, zero, zero, one)
        q = (x @ y @ z).mT
        return torch.einsum("aij,nik,njl,bkl->nab", self.mandel_basis, q, q, self.mandel_basis)

    def relative_errors(self, index: Any) -> Any:
        """Relative Frobenius errors (m,)."""
        reference = self.effective[index]
        difference = self.predict(index) - reference
        return difference.flatten(1).norm(dim=1) / reference.flatten(1).norm(dim=1)

    def loss(self, index: Any) -> Any:
        """The documents' loss (eq. 9) on the samples of this index."""
        error = self.relative_errors(index)
        total = self.torch.relu(self.parameters["z"]).sum()
        return 0.5 * (error**2).mean() + ETA * (total - XI) ** 2

    def epochs(self) -> Iterator[tuple[float, float, float]]:
        """After each epoch: loss, mean training and mean validation error."""
        torch = self.torch
        for _ in range(self.options.epochs):
            order = torch.randperm(len(self.trained), generator=self.generator)
            losses, errors = [], []
            for batch in order.split(self.options.batch_size):
                index = self.trained[batch]
                self.optimizer.zero_grad()
                loss = self.loss(index)
                loss.backward()
                self.optimizer.step()
                losses.append(float(loss.detach()))
            with torch.no_grad():
                unseen = self.relative_errors(self.validation)
                self.schedule.step(0.5 * (unseen**2).mean())
                errors = self.relative_errors(self.trained)
            yield float(np.mean(losses)), float(errors.mean()), float(unseen.mean())

    def network(self) -> Any:
        """The `Network` at the present parameters, scaled to the labels' fractions."""
        values = {name: value.detach().numpy() for name, value in self.parameters.items()}
        names, fractions = self.labels.phase_names, self.labels.fractions
        if self.options.network == "imn":
            return imn_from_parameters(
                values["z"], values["theta"], values["phi"], names, fractions
            )
        return dmn_from_parameters(values["z"], values["angles"], names, fractions)


def _laminate(torch: Any, c1: Any, c2: Any, first: Any, h: Any) -> Any:
    """He et al., eq. 21 and 22, for c1, c2 (m, n, 6, 6), fractions (n,), H (n, 6, 3)."""
    f1 = first[:, None, None]
    f2 = 1.0 - f1
    jump = (c2 - c1) @ h
    middle = h.mT @ (f2 * c1 + f1 * c2) @ h
    drop = torch.linalg.solve(middle, jump.mT)
    return f1 * c1 + f2 * c2 - f1 * f2 * (jump @ drop)


def _require_stiffness(labels: LabelSet) -> None:
    """With void at every other base node each network is singular, see `Layout.complete`."""
    stiff = np.any(labels.phase_stiffness, axis=(0, 2, 3))
    if not stiff.all():
        name = labels.phase_names[int(np.argmin(stiff))]
        raise ParameterError(
            f"phase '{name}' has no stiffness, which the optimizer 'adam' cannot handle: "
            "take 'levenberg-marquardt', or labels with a soft phase."
        )


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            "the optimizer 'adam' needs PyTorch, which is not installed: "
            "pip install 'matnet[offline]', or take 'levenberg-marquardt'."
        ) from error
    return torch
