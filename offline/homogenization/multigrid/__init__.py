"""Geometric multigrid on the solid voxels: a preconditioner for thin solids in much void."""

from offline.homogenization.multigrid.preconditioner import MultigridPreconditioner, multigrid_of

__all__ = ["MultigridPreconditioner", "multigrid_of"]
