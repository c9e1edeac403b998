"""The Fourier preconditioner of `offline.homogenization.fourier` on a torch device.

The same reference medium, symbol and density scale. Transforms go load by load, or a few loads at a
time, so that their workspace stays small beside the fields. Neither transform is normalised: the
factor does not matter to conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from offline.homogenization.gpu.cell import LOADS, DeviceCell
from offline.homogenization.grid import CORNERS, HexGrid

__all__ = ["FourierInverse", "inverse_symbol", "multiply_symbol"]

SLAB_BYTES = 256 * 2**20  # temporaries while the symbol is made
PAIRS = ((0, 3, 4), (3, 1, 5), (4, 5, 2))  # entries of a symmetric 3x3 matrix, 11 22 33 12 13 23


def inverse_symbol(
    grid: HexGrid, stiffness: np.ndarray, device: torch.device, out: torch.Tensor
) -> None:
    """Fill out (6, n1, n2, n3 // 2 + 1) with the inverse of the element matrix of one stiffness.

    The values of `reference_symbol`, inverted per frequency and zero at frequency zero, computed in
    double precision on the device.
    """
    ke = grid.element_stiffness(stiffness).reshape(8, 3, 8, 3)
    stencil = np.zeros((3, 3, 3, 3, 3))
    for a in range(8):
        for b in range(8):
            stencil[tuple(CORNERS[b] - CORNERS[a] + 1)] += ke[a, :, b, :]
    packed = stencil[..., (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)]
    coefficients = torch.as_tensor(packed, device=device).to(torch.complex128)
    n1, n2, n3 = grid.shape
    waves = [_waves(n, count, device) for n, count in ((n1, n1), (n2, n2), (n3, n3 // 2 + 1))]
    layers = max(1, SLAB_BYTES // (n2 * (n3 // 2 + 1) * 6 * 16 * 3))
    for first in range(0, n1, layers):
        rows = waves[0][first : first + layers]
        by_axis = torch.einsum("ia,abcm->ibcm", rows, coefficients)
        by_axis = torch.einsum("jb,ibcm->mijc", waves[1], by_axis)
        symbol = (by_axis @ waves[2].T).real
        out[:, first : first + layers] = _inverted(symbol).to(out.dtype)
    out[:, 0, 0, 0] = 0.0  # translations


def _waves(n: int, count: int, device: torch.device) -> torch.Tensor:
    angle = 2.0 * np.pi / n * np.arange(count)
    return torch.as_tensor(np.exp(1j * angle[:, None] * np.array([-1, 0, 1])), device=device)


def _inverted(m: torch.Tensor) -> torch.Tensor:
    """Inverses of symmetric 3x3 matrices (6, ...)."""
    a, b, c, d, e, f = m
    c11, c12, c13 = b * c - f * f, e * f - d * c, d * f - b * e
    factor = 1.0 / (a * c11 + d * c12 + e * c13)
    rows = (c11, a * c - e * e, a * b - d * d, c12, c13, d * e - a * f)
    return torch.stack([factor * row for row in rows])


def multiply_symbol(inverse: torch.Tensor, spectrum: torch.Tensor) -> None:
    """In place: spectrum (samples, loads, 3, ...) times inverse (samples, 6, ...)."""
    for s, load in np.ndindex(*spectrum.shape[:2]):
        x = spectrum[s, load]
        y = [sum(inverse[s, m] * x[j] for j, m in enumerate(row)) for row in PAIRS]
        for i in range(3):
            x[i] = y[i]


class FourierInverse:
    """z = S M S r with M the inverse of the reference medium and S the density scale.

    Parameters
    ----------
    cell : DeviceCell
    loads_at_once : int
        Transforms of 3 components times this many (sample, load) pairs run together.
    multiply : callable
        `multiply_symbol` or a kernel that does the same.
    """

    def __init__(
        self,
        cell: DeviceCell,
        loads_at_once: int,
        multiply: Callable[[torch.Tensor, torch.Tensor], None] = multiply_symbol,
    ) -> None:
        self.cell, self.multiply = cell, multiply
        samples, shape = len(cell.samples), cell.shape
        self.samples_at_once = max(1, min(samples, loads_at_once // LOADS))
        self.loads_at_once = min(LOADS, loads_at_once)
        half = (samples, 6, *shape[:2], shape[2] // 2 + 1)
        self.inverse = torch.empty(half, dtype=torch.float32, device=cell.device)
        for n, sample in enumerate(cell.samples):
            inverse_symbol(cell.grid, sample.reference, cell.device, self.inverse[n])

    def apply(self, r: torch.Tensor, out: torch.Tensor) -> None:
        """out = S M S r, fields in single precision."""
        scale, axes = self.cell.nodal_scale, (-3, -2, -1)
        for first in range(0, len(self.cell.samples), self.samples_at_once):
            some = slice(first, first + self.samples_at_once)
            for load in range(0, LOADS, self.loads_at_once):
                loads = slice(load, load + self.loads_at_once)
                x = r[some, loads]
                if scale is not None:
                    x = x * scale[some, None, None]
                spectrum = torch.fft.rfftn(x, dim=axes)
                del x
                self.multiply(self.inverse[some], spectrum)
                z = torch.fft.irfftn(spectrum, s=self.cell.shape, dim=axes, norm="forward")
                del spectrum
                out[some, loads] = z if scale is None else z.mul_(scale[some, None, None])
