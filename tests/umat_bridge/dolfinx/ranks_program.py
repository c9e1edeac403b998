"""Run under mpirun by test_ranks.py: ``ranks_program.py FOLDER KIND``.

A block of two materials with a local frame in each cell, bent past yield. Ghost entries of stress
and tangent are NaN throughout: that the answer is a number proves that nobody reads them.
"""

import json
import sys
from pathlib import Path

import numpy as np
from dolfinx_cases import MPI, cantilever, composite, mesh

from matnet import Material
from matnet.directions import random_rotations
from matnet.phases import Elastic
from umat_bridge.dolfinx import NewtonOptions, compat, gamg_options, run


def spoil_ghosts(law):
    """NaN wherever this rank does not own the cell."""
    for function in (law.stress, law.tangent):
        size = function.function_space.dofmap.index_map_bs
        dofs = compat.cell_dofs(function.function_space)[law.n_cells :]
        np.reshape(function.x.array, (-1, size))[dofs.ravel()] = np.nan
    return compat.n_ghost_cells(law.mesh)


def tags_of(domain):
    centres = compat.cell_coordinates(domain).mean(axis=1)
    values = np.where(centres[:, 2] < 0.3, 2, 1).astype(np.int32)
    return mesh.meshtags(domain, 3, np.arange(len(values), dtype=np.int32), values)


def main(folder, kind):
    comm = MPI.COMM_WORLD
    problem, load = cantilever(
        3,
        material={1: composite(), 2: Material.homogeneous(Elastic(E=1.0, nu=0.3))},
        cell_tags=tags_of,
        orientation=random_rotations(27, np.random.default_rng(0)),
        options=NewtonOptions(rtol=1e-11),
        petsc_options=gamg_options(1e-12) if kind == "gamg" else None,
    )
    law = problem.material
    ghosts = comm.allreduce(spoil_ghosts(law))
    file = folder / f"{kind}_{comm.size}.npz"
    other = folder / f"direct_{3 - comm.size}.npz"
    restart = kind == "cross"  # from the file of another number of ranks
    start = other if restart else file
    times = [1.0, 2.0, 3.0] if restart else [1.0, 2.0]
    result = run(problem, times, lambda t: load(0.05 * t), checkpoint=start, restart=restart)
    answer = {
        "ghosts": ghosts,
        "threads": law.threads,
        "reaction": problem.reaction(problem.bcs[1]),
        "mean_stress": law.average(law.point_stress()).tolist(),
        "iterations": result.iterations,
    }
    if comm.rank == 0:
        (folder / f"{kind}_{comm.size}.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
