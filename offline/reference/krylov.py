"""Preconditioned conjugate gradients, and BiCGStab for tangents that are not symmetric."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from offline.reference.vectors import add_scaled, dot, scale_and_add

__all__ = ["Coupled", "bicgstab", "pcg"]


class Coupled(Protocol):
    """The linearised cell, as `offline.reference.cell.NonlinearCell` offers it."""

    def apply(self, p: np.ndarray, free: np.ndarray, q: np.ndarray) -> np.ndarray:
        """q = K p."""

    def precondition(self, r: np.ndarray, free: np.ndarray, z: np.ndarray) -> float:
        """z = M r; returns r . z."""


def pcg(
    cell: Coupled, b: np.ndarray, free: np.ndarray, forcing: float, max_iterations: int
) -> tuple[np.ndarray, int]:
    """Solve ``K x = b`` until the preconditioned residual has fallen to `forcing` of its size.

    Stops early where the matrix turns out not to be positive definite: what was found before is
    a descent direction. Returns x and the number of iterations.
    """
    x, r = np.zeros_like(b), b.copy()
    z, p, q = np.empty_like(b), np.zeros_like(b), np.empty_like(b)
    rz = cell.precondition(r, free, z)
    goal = forcing**2 * rz
    beta = 0.0
    for iteration in range(max_iterations):
        if not rz > goal:
            return x, iteration
        scale_and_add(p, beta, z)
        cell.apply(p, free, q)
        power = dot(p, q)
        if not power > 0.0:
            if iteration == 0:
                x += p
            return x, iteration + 1
        alpha = rz / power
        add_scaled(x, alpha, p)
        add_scaled(r, -alpha, q)
        old, rz = rz, cell.precondition(r, free, z)
        beta = rz / old
    return x, max_iterations


def bicgstab(
    cell: Coupled, b: np.ndarray, free: np.ndarray, forcing: float, max_iterations: int
) -> tuple[np.ndarray, int]:
    """As `pcg` for any matrix (van der Vorst, SIAM J. Sci. Stat. Comput. 13, 1992, p. 635).

    Two products with K per iteration; both are counted.
    """
    x, r = np.zeros_like(b), b.copy()
    shadow, p, v = np.empty_like(b), np.zeros_like(b), np.zeros_like(b)
    p_hat, s_hat, t = np.empty_like(b), np.empty_like(b), np.empty_like(b)
    first = cell.precondition(r, free, shadow)  # M r as shadow: a symmetric K breaks down never
    rho, alpha, omega = 1.0, 1.0, 1.0
    for iteration in range(0, max_iterations, 2):
        rho_old, rho = rho, dot(shadow, r)
        if rho == 0.0:
            return x, iteration
        beta = rho / rho_old * (alpha / omega) if iteration else 0.0
        add_scaled(p, -omega, v)
        scale_and_add(p, beta, r)
        cell.precondition(p, free, p_hat)
        cell.apply(p_hat, free, v)
        slope = dot(shadow, v)
        if slope == 0.0:
            return x, iteration + 1
        alpha = rho / slope
        add_scaled(x, alpha, p_hat)
        add_scaled(r, -alpha, v)
        if not cell.precondition(r, free, s_hat) > forcing**2 * first:
            return x, iteration + 1
        cell.apply(s_hat, free, t)
        length = dot(t, t)
        omega = dot(t, r) / length if length > 0.0 else 0.0
        add_scaled(x, omega, s_hat)
        add_scaled(r, -omega, t)
        if omega == 0.0:
            return x, iteration + 2
    return x, max_iterations
