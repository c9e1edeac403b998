"""C^H of unseen cells by the project's own solver, and errors against it."""

from __future__ import annotations

from functools import cached_property
from itertools import islice

import numpy as np

from offline.homogenization import SolverOptions, homogenize
from offline.surrogates.stream import CellStream

__all__ = ["References"]

TOL = 1e-5  # of C^H: far below the errors that are measured


class References:
    """The first cells of a stream, solved when they are first asked for.

    Parameters
    ----------
    stream : CellStream
        The validation split.
    count : int
        Cells, at most as many as the split has; 0: none.
    """

    def __init__(self, stream: CellStream, count: int) -> None:
        self.stream, self.count = stream, min(count, len(stream.seeds))

    @cached_property
    def stiffness(self) -> np.ndarray:
        """C^H (n, 6, 6) [stress unit]."""
        samples = (sample for batch in self.stream.all_in_order() for sample in batch)
        found = [
            homogenize(one.rve, one.stiffnesses, SolverOptions(tol=TOL)).stiffness
            for one in islice(samples, self.count)
        ]
        return np.reshape(found, (-1, 6, 6))

    def errors(self, stiffness: np.ndarray) -> dict[str, float]:
        """Mean ``delta`` and largest ``delta_worst`` of ``||C - C_ref||_F / ||C_ref||_F`` [-].

        Parameters
        ----------
        stiffness : (m, 6, 6)
            C^H of all cells of the stream in order, m >= n.

        Returns
        -------
        dict
            Empty without references.
        """
        if not self.count:
            return {}
        gap = np.linalg.norm(stiffness[: self.count] - self.stiffness, axis=(1, 2))
        delta = gap / np.linalg.norm(self.stiffness, axis=(1, 2))
        return {"delta": float(delta.mean()), "delta_worst": float(delta.max())}
