"""The vector of descriptors of a periodic two-phase image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import ParameterError, ShapeError
from offline.morphology.catalogue import (
    BLOCKS,
    CONTACT,
    COVARIANCE,
    LINEAL,
    THICKNESS,
    names,
    selection,
    swap,
    turns,
)
from offline.morphology.conduction import conduction
from offline.morphology.correlation import (
    covariances,
    harmonic_norm,
    interface_moments,
    spectral_moments,
)
from offline.morphology.distance import contact_distance, local_thickness
from offline.morphology.lines import CROFTON, line_measures
from offline.morphology.minkowski import minkowski
from offline.rve.connectivity import connectivity
from offline.rve.rve import Rve

__all__ = ["SMALLEST", "Descriptors", "descriptor_matrix", "descriptors"]

SMALLEST = 8  # voxels per axis


@dataclass(frozen=True, slots=True, eq=False)
class Descriptors:
    """Named numbers of one image; lengths are in edges of the cell.

    Attributes
    ----------
    values : (d,)
        In the order of `names`; see docs/morphology.md for what each is.

    Examples
    --------
    >>> image = np.zeros((8, 8, 8), dtype=np.uint8)
    >>> image[:4] = 1
    >>> laminate = descriptors(image)
    >>> laminate["fraction.1"], laminate["crossings.x"], laminate["crossings.y"]
    (0.5, 2.0, 0.0)
    """

    values: np.ndarray

    def __getitem__(self, name: str) -> float:
        """The number of that name."""
        if name not in names():
            raise ParameterError(f"descriptor '{name}' is unknown, see offline.morphology.names().")
        return float(self.values[names().index(name)])

    def as_dict(self) -> dict[str, float]:
        """All numbers by name."""
        return dict(zip(names(), self.values.tolist(), strict=True))

    def group(self, *groups: str) -> np.ndarray:
        """The numbers of some groups: isotropic, directional, conduction."""
        return np.asarray(self.values[selection(groups)])

    def turned(self, number: int) -> Descriptors:
        """Those of the image turned by a symmetry of the cube (`symmetry.CUBE`)."""
        source, sign = turns()
        return Descriptors(sign[number] * self.values[source[number]])

    def swapped(self) -> Descriptors:
        """Those of the image with phases exchanged."""
        return Descriptors(self.values[swap()])


def descriptors(image: Any) -> Descriptors:
    """Describe a periodic image of two phases on cubic voxels.

    Parameters
    ----------
    image : (n, n, n) of 0 and 1
        At least `SMALLEST` voxels per axis; both phases occur.

    Raises
    ------
    ShapeError, ParameterError
        The image is no cube, too small, holds other values or one phase only.
    """
    voxels = _checked(image)
    found: dict[str, Any] = {}
    fraction = float(voxels.mean())
    found["fraction"] = [[1.0 - fraction], [fraction]]
    _add_lines(found, voxels)
    found["breadth"], found["euler"] = minkowski(voxels)
    _add_correlations(found, voxels)
    _add_distances(found, voxels)
    _add_components(found, voxels)
    found["conduction"] = conduction(voxels)
    return Descriptors(
        np.concatenate([np.reshape(found[block.name], block.shape).ravel() for block in BLOCKS])
    )


def descriptor_matrix(images: Iterable[Any]) -> np.ndarray:
    """Descriptors (n, d) of several images."""
    return np.stack([descriptors(image).values for image in images])


def _add_lines(found: dict[str, Any], voxels: np.ndarray) -> None:
    crossings, path = line_measures(voxels)
    found["crossings"] = crossings
    found["surface"] = 2.0 * CROFTON @ crossings
    for r, one in zip(LINEAL, path, strict=True):
        found[f"lineal.{r}"], found[f"lineal.mean.{r}"] = one, one @ CROFTON


def _add_correlations(found: dict[str, Any], voxels: np.ndarray) -> None:
    power, shares, tensors = spectral_moments(voxels)
    along, shells = covariances(power)
    for k, r in enumerate(COVARIANCE):
        found[f"covariance.{r}"], found[f"covariance.shell.{r}"] = along[k], shells[k]
    for k, band in enumerate(("all", "long", "middle", "short")):
        found[f"spectrum.{band}"] = tensors[k]
        if k:
            found[f"power.{band}"] = shares[k - 1]
    found["interface"] = interface_moments(voxels)
    found["anisotropy.spectrum"] = harmonic_norm(tensors[0])
    found["anisotropy.interface"] = harmonic_norm(found["interface"])


def _add_distances(found: dict[str, Any], voxels: np.ndarray) -> None:
    n = len(voxels)
    distance = contact_distance(voxels)
    thickness = local_thickness(distance, voxels)
    for kind, field, percents in (
        ("contact", distance, CONTACT),
        ("thickness", thickness, THICKNESS),
    ):
        # the interface lies half a voxel before the centre of the other phase
        each = [(field[voxels == phase] - 0.5) / n for phase in (0, 1)]
        found[f"{kind}.mean"] = [one.mean() for one in each]
        quantiles = np.array([np.percentile(one, percents) for one in each])
        for k, percent in enumerate(percents):
            found[f"{kind}.q{percent}"] = quantiles[:, k]


def _add_components(found: dict[str, Any], voxels: np.ndarray) -> None:
    counts, largest, wound = [], [], []
    for phase in (0, 1):
        solid = Rve(phases=voxels == phase, phase_names=("void", "solid"))
        parts = connectivity(solid)
        counts.append(float(parts.n_components))
        largest.append(parts.sizes[0] / parts.sizes.sum())
        vectors = np.concatenate([np.reshape(w, (-1, 3)) for w in parts.windings])
        wound.append((vectors != 0).any(axis=0).astype(float))
    found["components"], found["largest"] = counts, largest
    found["percolation"] = wound
    found["percolation.mean"] = np.mean(wound, axis=1)


def _checked(image: Any) -> np.ndarray:
    array = np.asarray(image)
    if array.ndim != 3 or len(set(array.shape)) != 1:
        raise ShapeError(f"image has shape {array.shape}, expected (n, n, n).")
    if len(array) < SMALLEST:
        raise ParameterError(
            f"image has {len(array)} voxels per axis, expected {SMALLEST} or more."
        )
    if not np.isin(array, (0, 1)).all():
        raise ParameterError("image holds other values than 0 and 1. Pass phase numbers.")
    if array.min() == array.max():
        raise ParameterError(f"image holds phase {int(array.min())} alone, expected both phases.")
    return np.ascontiguousarray(array, dtype=np.uint8)
