r"""The reduced basis grows where it is worst, until every label is good enough.

Each round looks at the estimated errors of all samples, solves a batch fully (the worst ones,
spread over the parameters, and one at random), learns from the errors that these solutions reveal
how far the estimate was off, and adds them to the basis. The last batch is the check: it is solved
when the estimates are already below the tolerance; the run ends only if its true errors are, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from offline.labels.reduced_basis import Reduced, ReducedBasis
from offline.labels.residual_sketch import ResidualSketch
from offline.labels.snapshots import Snapshot

__all__ = ["Calibration", "ReducedLabels", "pick_batch", "sample_features"]

SAFETY = 1.3  # on the largest of the recent ratios of true to raw error
WINDOW = 40  # ratios that count as recent; they change slowly as the basis grows
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
        """`SAFETY` times the largest recent ratio; 1 is assumed before any is known."""
        return SAFETY * max(self.ratios[-WINDOW:], default=1.0)

    def learnt(self, true: np.ndarray, raw: np.ndarray, noise: np.ndarray) -> Calibration:
        """With new true and raw errors (m,); errors that drown in the solver's are left out."""
        use = (true > 5.0 * noise) & (raw > 0.0)
        ratios = (true[use] + noise[use]) / raw[use]
        return replace(self, ratios=(*self.ratios, *map(float, ratios)))


class ReducedLabels:
    """Reduced labels of all samples, renewed only where the error still matters.

    A label computed with an earlier basis stays an upper bound, and its error estimate stays valid:
    samples far below the tolerance need not be solved again in each round.

    Parameters
    ----------
    phase_stiffness : (n, n_phases, 6, 6)
    basis, sketch
        Of no fields yet.

    Attributes
    ----------
    effective : (n, 6, 6)
        Reduced effective stiffnesses.
    raw : (n,)
        Their raw errors.
    """

    def __init__(
        self, phase_stiffness: np.ndarray, basis: ReducedBasis, sketch: ResidualSketch
    ) -> None:
        n = len(phase_stiffness)
        self.phase_stiffness, self.basis, self.sketch = phase_stiffness, basis, sketch
        self.effective, self.raw = np.empty((n, 6, 6)), np.full(n, np.inf)
        self._fresh: dict[int, Reduced] = {}  # with the present basis

    def renew(self, samples: np.ndarray) -> None:
        """Solve the reduced problem of the samples (m,) int with the present basis."""
        wanted = np.array([i for i in samples if int(i) not in self._fresh], dtype=int)
        if not wanted.size:
            return
        stiffness = self.phase_stiffness[wanted]
        with threadpool_limits(1):  # threads of BLAS cost more than they bring at this size
            reduced = list(self.basis.solve(stiffness))
        self.raw[wanted] = self.sketch.errors(stiffness, reduced, self.basis.transform)
        self.effective[wanted] = [r.effective for r in reduced]
        self._fresh.update(zip(map(int, wanted), reduced, strict=True))

    def start(self, index: int) -> np.ndarray:
        """Reduced fluctuations (3 n_nodes, 6) float32 of one renewed sample."""
        return self.basis.displacement(self._fresh[index].coefficients).astype(np.float32)

    def true_error(self, snapshot: Snapshot) -> float:
        """Relative error of the reduced effective stiffness of a solved sample."""
        gap = self.effective[snapshot.index] - snapshot.effective
        return float(np.linalg.norm(gap) / np.linalg.norm(snapshot.effective))

    def extend(self, snapshots: Sequence[Snapshot]) -> None:
        """Add what full solutions have beyond the reduced ones to the basis."""
        raw = np.concatenate([s.fields - self.start(s.index) for s in snapshots], axis=1)
        self.basis, products = self.basis.extended_beside(raw, self.sketch.tests)
        self.sketch = self.sketch.extended(products)
        self._fresh.clear()


def sample_features(phase_stiffness: np.ndarray) -> np.ndarray:
    """Logarithmic diagonals (n, m) of the phase stiffnesses: a place for each sample."""
    diagonal = np.diagonal(phase_stiffness, axis1=2, axis2=3)
    solid = np.any(diagonal > 0.0, axis=(0, 2))
    return np.asarray(np.log(diagonal[:, solid]).reshape(len(phase_stiffness), -1))


def pick_batch(
    error: np.ndarray,
    solved: np.ndarray,
    features: np.ndarray,
    batch: int,
    rng: np.random.Generator,
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
