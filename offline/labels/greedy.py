r"""The reduced basis grows where it is worst, until every label is good enough.

Each round looks at the estimated errors of all samples, solves a batch fully (the worst ones, spread
over the parameters, and one at random), learns from the errors that these solutions reveal how far
the estimate was off, and adds them to the basis. The last batch is the check: it is solved when the
estimates are already below the tolerance, and the run ends only if its true errors are, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from offline.labels.reduced_basis import Reduced, ReducedBasis
from offline.labels.residual_sketch import ResidualSketch
from offline.labels.snapshots import Snapshot

__all__ = ["Calibration", "Round", "pick_batch", "sample_features"]

SAFETY = 1.25  # on the largest ratio of true to raw error seen so far
PRIOR = 2.0  # ratio assumed before the first snapshots
SPREAD = 0.5  # distance between samples, relative to the typical one, below which they are copies


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Factor from the raw error estimate to a trusted one, learnt from known errors.

    Attributes
    ----------
    ratios : tuple of float
        True over raw error of the snapshots, measured just before they joined the basis.
    """

    ratios: tuple[float, ...] = ()

    @property
    def factor(self) -> float:
        """`SAFETY` times the largest ratio seen, or the prior."""
        return SAFETY * max(self.ratios, default=PRIOR / SAFETY)

    def learnt(self, true: np.ndarray, raw: np.ndarray, noise: np.ndarray) -> Calibration:
        """With new true and raw errors (m,); errors that drown in the solver's are left out."""
        use = (true > 5.0 * noise) & (raw > 0.0)
        ratios = (true[use] + noise[use]) / raw[use]
        return replace(self, ratios=(*self.ratios, *map(float, ratios)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Round:
    """Reduced solutions of all samples with one basis, and their raw errors."""

    basis: ReducedBasis
    reduced: list[Reduced] = field(repr=False)
    raw: np.ndarray

    @classmethod
    def of(cls, phase_stiffness: np.ndarray, basis: ReducedBasis, sketch: ResidualSketch) -> Round:
        """Solve the reduced problem for all samples (n, n_phases, 6, 6) and sketch its residual."""
        reduced = list(basis.solve(phase_stiffness))
        return cls(
            basis=basis,
            reduced=reduced,
            raw=sketch.errors(phase_stiffness, reduced, basis.transform),
        )

    @property
    def effective(self) -> np.ndarray:
        """Reduced effective stiffnesses (n, 6, 6)."""
        return np.array([r.effective for r in self.reduced])

    def start(self, index: int) -> np.ndarray:
        """Reduced fluctuations (3 n_nodes, 6) float32 of one sample."""
        return self.basis.displacement(self.reduced[index].coefficients).astype(np.float32)

    def true_error(self, snapshot: Snapshot) -> float:
        """Relative error of the reduced effective stiffness of a solved sample."""
        exact = snapshot.effective
        gap = self.reduced[snapshot.index].effective - exact
        return float(np.linalg.norm(gap) / np.linalg.norm(exact))


def sample_features(phase_stiffness: np.ndarray) -> np.ndarray:
    """Logarithmic diagonals (n, m) of the phase stiffnesses: a place for each sample."""
    diagonal = np.diagonal(phase_stiffness, axis1=2, axis2=3)
    solid = np.any(diagonal > 0.0, axis=(0, 2))
    return np.asarray(np.log(diagonal[:, solid]).reshape(len(phase_stiffness), -1))


def pick_batch(
    error: np.ndarray, solved: np.ndarray, features: np.ndarray, batch: int, rng: np.random.Generator
) -> list[int]:
    """Samples to solve next: the worst, no near copies among them, and a random one.

    Parameters
    ----------
    error : (n,)
        Estimated errors.
    solved : (n,) bool
        Samples that are in the basis; never picked.
    features : (n, m)
        See `sample_features`.
    """
    open_samples = np.flatnonzero(~solved)
    if len(open_samples) <= batch:
        return [int(i) for i in open_samples]
    score = np.where(solved, -1.0, error)
    typical = SPREAD * np.sqrt(2.0 * features.var(axis=0).sum())
    picked: list[int] = []
    for _ in range(max(1, batch - 1)):
        worst = int(score.argmax())
        picked.append(worst)
        distance = np.linalg.norm(features - features[worst], axis=1)
        near = 1.0 - np.exp(-((distance / max(typical, 1e-300)) ** 2))
        score = np.where(score > 0.0, score * near, score)
        score[worst] = -1.0
    if batch > 1:
        rest = np.setdiff1d(open_samples, picked)
        picked.append(int(rng.choice(rest)))
    return picked
