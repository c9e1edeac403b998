"""Run under mpirun by test_ranks.py: ``few_cells_program.py FOLDER``.

Three cells on four ranks, a material that fails on one rank, a temperature that is wrong on one.
"""

import json
import sys
from pathlib import Path

import numpy as np
from dolfinx_cases import MPI, composite, displacement, mesh, roller, rollers

from matnet.errors import ShapeError
from umat_bridge.dolfinx import Problem, QuadratureMaterial, compat, run, solve_step


def bar(comm):
    """Three cells pulled along x: the problem and its load by time."""
    domain = mesh.create_box(
        comm, [[0.0, 0.0, 0.0], [3.0, 1.0, 1.0]], [3, 1, 1], cell_type=mesh.CellType.hexahedron
    )
    u = displacement(domain)
    space = u.function_space
    law = QuadratureMaterial(
        composite(), space, orientation=lambda x: np.tile(np.eye(3), (len(x), 1, 1))
    )
    end, amount = roller(space, 0, 3.0, 0)
    return Problem(law, u, [*rollers(space), end]), lambda t: setattr(amount, "value", 0.02 * t)


def wrong_on_one_rank(problem):
    """What an array of the wrong shape on the last rank tells all of them."""
    law, comm = problem.material, problem.comm
    rows = 7 if comm.rank == comm.size - 1 else law.n_cells
    try:
        law.update(problem.u, 1.0, np.zeros((rows, 8)))
    except ShapeError as error:
        return str(error)
    return ""


def failing_in_cell(problem, number):
    """The reason that a step gives when points of this cell of the mesh fail, on its rank alone."""
    law, update = problem.material, problem.material.update
    mine = compat.original_cells(law.mesh) == number

    def spoiled(*given):
        update(*given)
        law.status[mine, 5] = 2
        return 1

    law.update = spoiled
    result = solve_step(problem)
    law.update = update
    return result.reason


def main(folder):
    comm = MPI.COMM_WORLD
    problem, load = bar(comm)
    law, file = problem.material, folder / f"few_{comm.size}.npz"
    run(problem, [1.0, 2.0], load, checkpoint=file)
    means = comm.allgather(law.cell_values("p").sum())
    again, _ = bar(comm)
    again.material.load(file, u=again.u)
    answer = {
        "reaction": problem.reaction(problem.bcs[-1]),
        "restored_reaction": again.reaction(again.bcs[-1]),
        "p": sum(means),
        "cells": sorted(comm.allgather(law.n_cells)),
        "shape": wrong_on_one_rank(problem),
        "reasons": [failing_in_cell(problem, number) for number in range(3)],
    }
    if len(set(comm.allgather(json.dumps(answer)))) == 1 and comm.rank == 0:
        (folder / f"few_cells_{comm.size}.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
