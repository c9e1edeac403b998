"""Effective stiffness of periodic cells of trilinear hexahedra, full integration."""

from offline.homogenization.effective import Homogenized, homogenize
from offline.homogenization.fields import gauss_strains, von_mises
from offline.homogenization.grid import HexGrid
from offline.homogenization.options import SolverOptions, Status
from offline.homogenization.pcg import Solution
from offline.homogenization.solver import CellOperator, CellSolver

__all__ = [
    "CellOperator",
    "CellSolver",
    "HexGrid",
    "Homogenized",
    "Solution",
    "SolverOptions",
    "Status",
    "gauss_strains",
    "homogenize",
    "von_mises",
]
