"""One field, all thresholds: where connectivity changes, and who notices (paper, fig. 15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from matnet.errors import ParameterError
from offline.rve.generators.trigonometric import trigonometric_field
from offline.surrogates.voigt_reuss.estimates import hashin_shtrikman_plane, mori_tanaka_plane
from offline.surrogates.voigt_reuss.fields import embed_modes
from offline.surrogates.voigt_reuss.normalisation import SpectralGap
from offline.surrogates.voigt_reuss.plane_strain import homogenize_images
from offline.surrogates.voigt_reuss.surrogate import Evaluation, PlaneSurrogate

__all__ = ["ThresholdSweep", "threshold_sweep"]

TEMPERATURE = 0.01  # of the derivative: wide enough that several pixels carry it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdSweep:
    """Stiffness along thresholds.

    Attributes
    ----------
    tau, c0 : (n,)
    true : (n, 3, 3)
        Homogenised [unit of the phases].
    predicted : dict of str to (n, 3, 3)
    slope : dict of str to (n,)
        Size of the derivative of the predicted C with respect to tau.
    gap : SpectralGap
    phases : (2, 3, 3)
    """

    tau: np.ndarray
    c0: np.ndarray
    true: np.ndarray
    predicted: dict[str, np.ndarray]
    slope: dict[str, np.ndarray]
    gap: SpectralGap
    phases: np.ndarray

    def evaluation(self, name: str) -> Evaluation:
        """Errors and violations of one surrogate along the way."""
        return Evaluation.of(self.predicted[name], self.true, self.gap)

    def mori_tanaka(self) -> np.ndarray:
        """Mori-Tanaka's estimate (n, 3, 3), phase 0 embedded in phase 1."""
        return mori_tanaka_plane(self.phases, self.c0)

    def plot(self, name: str, axes: Any = None) -> Any:
        """Error, eigenvalues and derivative of one surrogate over tau, on three axes."""
        if axes is None:
            from matplotlib.figure import Figure

            axes = Figure(figsize=(12.0, 3.5), layout="constrained").subplots(1, 3)
        error, values, slope = axes
        reference = np.linalg.norm(self.mori_tanaka() - self.true, axis=(1, 2))
        reference /= np.linalg.norm(self.true, axis=(1, 2))
        error.semilogy(self.tau, 100.0 * self.evaluation(name).error, label=name)
        error.semilogy(self.tau, 100.0 * reference, "--", label="Mori-Tanaka")
        error.set(xlabel="threshold tau", ylabel="error of C [%]")
        error.legend()
        low, high = hashin_shtrikman_plane(self.phases, self.c0)
        for bound, style in (
            (low, ":"),
            (high, ":"),
            (self.gap.lower, "-."),
            (self.gap.upper, "-."),
        ):
            values.semilogy(self.tau, np.linalg.eigvalsh(bound), style, color="0.7", lw=0.8)
        values.semilogy(self.tau, np.linalg.eigvalsh(self.true), "k")
        shown = np.linalg.eigvalsh(self.predicted[name])
        values.semilogy(self.tau, np.where(shown > 0.0, shown, np.nan), "--")
        values.set(xlabel="threshold tau", ylabel="eigenvalues of C [unit of the moduli]")
        slope.plot(self.tau, self.slope[name])
        slope.set(xlabel="threshold tau", ylabel="|dC / dtau| [unit of the moduli]")
        return axes


def threshold_sweep(
    surrogates: Mapping[str, PlaneSurrogate],
    amplitudes: Any,
    *,
    n: int = 100,
    resolution: int | None = None,
) -> ThresholdSweep:
    """Homogenise and predict the cells of one field at n thresholds within (0, 1).

    Parameters
    ----------
    surrogates : mapping of str to PlaneSurrogate
        With the same phases.
    amplitudes : (m1, m2)
        Odd numbers of rows and columns, up to 11.
    n : int
    resolution : int, optional
        Pixels per side of the homogenised pictures; default: that of the first surrogate.

    Raises
    ------
    ParameterError
        No surrogate, or surrogates with different phases.
    """
    nets = list(surrogates.values())
    if not nets or n < 1:
        raise ParameterError(f"{len(nets)} surrogates and n = {n}, expected at least one of each.")
    phases = nets[0].output.phases.cpu().numpy()
    if any(not np.array_equal(net.output.phases.cpu().numpy(), phases) for net in nets):
        raise ParameterError("the surrogates have different phases, so they share no truth.")
    side = nets[0].config.resolution if resolution is None else resolution
    centred = embed_modes(torch.as_tensor(np.asarray(amplitudes, dtype=float)))
    tau = np.arange(1, n + 1) / (n + 1.0)
    level = trigonometric_field(centred.numpy(), (side, side))
    images = (level[None] >= tau[:, None, None]).astype(np.uint8)
    c0 = 1.0 - images.mean(axis=(1, 2))
    predicted, slope = {}, {}
    for name, net in surrogates.items():
        if net.config.inputs == "picture" and not net.config.with_tau:
            predicted[name] = net.predict(images)
        else:
            predicted[name] = _from_parameters(net, centred, tau, images, c0)
        slope[name] = _slope(net, centred, tau)
    return ThresholdSweep(
        tau=tau,
        c0=c0,
        true=homogenize_images(images, phases),
        predicted=predicted,
        slope=slope,
        gap=SpectralGap.from_phases(phases, np.stack([c0, 1.0 - c0], axis=1)),
        phases=phases,
    )


@torch.no_grad()
def _from_parameters(
    net: PlaneSurrogate,
    amplitudes: torch.Tensor,
    tau: np.ndarray,
    images: np.ndarray,
    c0: np.ndarray,
) -> np.ndarray:
    if net.config.inputs == "picture":
        inputs = torch.tensor(images)
    else:
        inputs = amplitudes.expand(len(tau), -1, -1)
    threshold = torch.tensor(tau) if net.config.with_tau else None
    return np.asarray(net.stiffness(inputs, torch.tensor(c0), threshold).numpy())


def _slope(net: PlaneSurrogate, amplitudes: torch.Tensor, tau: np.ndarray) -> np.ndarray:
    """|dC / dtau| (n,) by one backward pass per component: cells do not depend on each other."""
    threshold = torch.tensor(tau, requires_grad=True)
    tensors = net.design(amplitudes.expand(len(tau), -1, -1), threshold, TEMPERATURE)
    total = torch.zeros(len(tau), dtype=torch.float64)
    for i in range(3):
        for j in range(3):
            (part,) = torch.autograd.grad(tensors[:, i, j].sum(), threshold, retain_graph=True)
            total += part.detach() ** 2
    return np.asarray(total.sqrt().numpy())
