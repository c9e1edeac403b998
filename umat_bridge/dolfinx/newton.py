"""Newton's method for one load step."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ufl
from dolfinx import fem

from matnet.errors import ParameterError, require_between, require_non_negative
from umat_bridge.dolfinx import compat, where
from umat_bridge.dolfinx.krylov import linear_solver, rigid_body_modes
from umat_bridge.dolfinx.quadrature import QuadratureMaterial

__all__ = ["NewtonOptions", "Problem", "StepResult", "solve_step"]

LINE_SEARCHES = ("residual", "energy", "none")
MEMORY = 1e-3  # share of the largest force so far that keeps the scale up near zero force
MAX_RISES = 3  # corrections per step that may leave more forces out of balance
ROUND_OFF = 1e-12  # share of the largest displacement by which supports may be out of place
SUFFICIENT = 0.95  # share of the forces out of balance that may remain after a correction


@dataclass(frozen=True, slots=True, kw_only=True)
class NewtonOptions:
    """Options of `solve_step`.

    Parameters
    ----------
    rtol : float
        Largest norm of the forces out of balance, over that of the support reactions (or, where
        there are none, of the forces that the step first put out of balance).
    atol : float
        The same as a force: what is always small enough.
    max_iterations : int
        Linear solves per step.
    line_search : str
        ``residual``: a correction is halved until the forces out of balance fall. ``energy``: until
        their work along it does. ``none``: only where points have no solution.
    max_backtracks : int
        How often a correction may be halved.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.
    """

    rtol: float = 1e-8
    atol: float = 0.0
    max_iterations: int = 20
    line_search: str = "residual"
    max_backtracks: int = 4

    def __post_init__(self) -> None:
        require_between(self, "rtol", low=0.0, high=1.0)
        require_non_negative(self, "atol")
        if self.line_search not in LINE_SEARCHES:
            raise ParameterError(
                f"line_search is '{self.line_search}', expected one of {', '.join(LINE_SEARCHES)}."
            )
        if self.max_iterations < 1 or self.max_backtracks < 0:
            raise ParameterError(
                f"max_iterations = {self.max_iterations} and max_backtracks = "
                f"{self.max_backtracks}, expected at least 1 and 0."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What became of a step.

    Attributes
    ----------
    converged : bool
        Whether the forces are in balance.
    iterations : int
        Linear solves.
    residuals : tuple of float
        Norm of the forces out of balance [force]: first, then after every iteration.
    scale : float
        Force that `NewtonOptions.rtol` refers to.
    evaluations : int
        Evaluations of the material, those of the line search included.
    failed_points : int
        Gauss points without solution at the end, on all ranks.
    reason : str
        Why it failed, with cell and point; empty if converged.
    seconds : mapping
        Wall time on this rank of ``material``, ``assembly`` and ``solve``.
    """

    converged: bool
    iterations: int
    residuals: tuple[float, ...]
    scale: float
    evaluations: int
    failed_points: int
    reason: str
    seconds: Mapping[str, float]

    def __str__(self) -> str:
        shown = " ".join(f"{residual:.1e}" for residual in self.residuals)
        state = "converged" if self.converged else "failed"
        return f"{state} after {self.iterations} iterations, residuals {shown}"


class Problem:
    """Balance of forces for one displacement; forms are compiled once.

    Parameters
    ----------
    material : QuadratureMaterial
        The inner forces.
    u : dolfinx function
        Displacement, start value and solution.
    bcs : sequence of dolfinx DirichletBC
        What is prescribed; change their values between steps.
    external : UFL form, optional
        External virtual work, linear in a test function of u's space, such as
        ``ufl.dot(t, v) * ufl.ds``. It may depend on u (springs, follower loads): its derivative is
        then part of the matrix.
    petsc_options : mapping, optional
        For the linear solver, names without prefix, such as ``{"ksp_type": "cg"}``; a direct solver
        if not given. See `gamg_options`.
    options : NewtonOptions
        Tolerance and limits.
    """

    def __init__(
        self,
        material: QuadratureMaterial,
        u: Any,
        bcs: Sequence[Any] = (),
        *,
        external: Any = None,
        petsc_options: Mapping[str, Any] | None = None,
        options: NewtonOptions | None = None,
    ) -> None:
        self.material, self.u, self.bcs = material, u, list(bcs)
        self.options = options or NewtonOptions()
        self.space = u.function_space
        material.require_space(self.space)
        _require_space_of(self.bcs, self.space)
        self.comm = self.space.mesh.comm
        self.external = external
        test, trial = _test_function(external, self.space), ufl.TrialFunction(self.space)
        residual = material.internal_virtual_work(test)
        jacobian = material.tangent_form(trial, test)
        if external is not None:
            residual -= external
            if any(given is u for given in external.coefficients()):
                jacobian -= ufl.derivative(external, u, trial)
        self.residual_form, self.jacobian_form = fem.form(residual), fem.form(jacobian)
        self.matrix = compat.create_matrix(self.jacobian_form)
        self.matrix.setNearNullSpace(rigid_body_modes(self.space))
        self.ksp = linear_solver(self.matrix, petsc_options)
        self.vector = compat.petsc_vector(u).duplicate()
        self.largest_force = 0.0  # norm so far, of reactions and of what steps put out of balance
        size = self.space.dofmap.index_map.size_local * self.space.dofmap.index_map_bs
        self.fixed = np.zeros(size, dtype=bool)
        for bc in self.bcs:
            self.fixed[compat.bc_dofs(bc)] = True

    @property
    def x(self) -> Any:
        """The displacement's PETSc vector."""
        return compat.petsc_vector(self.u)

    def forces(self, *, lift: bool = False) -> np.ndarray:
        """Inner minus external forces (owned dofs,) at the last evaluation of the material.

        With `lift`, the forces once the supports have moved to their prescribed values, to first
        order.
        """
        compat.assemble_vector(self.vector, self.residual_form)
        if lift:
            compat.apply_lifting(self.vector, self.jacobian_form, self.bcs, self.x)
        compat.sum_ghosts(self.vector)
        return np.array(self.vector.array)

    def reaction(self, bc: Any) -> float:
        """Sum of the forces by which one boundary condition acts on the body, over all ranks.

        With a condition on one component that is its resultant; for one on several, take
        `forces` apart. Per radian times 2 pi if axisymmetric: of the whole ring.
        """
        return float(self.comm.allreduce(float(self.forces()[compat.bc_dofs(bc)].sum())))

    def gap(self) -> float:
        """Largest distance of a constrained displacement from its prescribed value; may be NaN."""
        self.vector.set(0.0)
        compat.set_bc(self.vector, self.bcs, self.x)
        # by hand: maxima pass over NaN
        mine = np.abs(self.vector.array)
        gaps = self.comm.allgather((float(mine.max(initial=0.0)), bool(np.isnan(mine).any())))
        return float("nan") if any(bad for _, bad in gaps) else max(gap for gap, _ in gaps)

    def impose(self) -> None:
        """Put the supports exactly where they belong."""
        compat.impose(self.x, self.bcs)
        self.u.x.scatter_forward()

    def norm(self, forces: np.ndarray, *, fixed: bool) -> float:
        """Norm over all ranks of the fixed or the free entries."""
        picked = forces[self.fixed == fixed]
        return float(np.sqrt(self.comm.allreduce(float(picked @ picked))))


def solve_step(problem: Problem, dt: float = 1.0, temperature: Any = None) -> StepResult:
    """Find the displacement in balance at the end of a step, from `problem.u` as it is.

    Nothing is committed: call ``problem.material.commit()`` to accept the step, or ``rollback()``
    and put `problem.u` back to forget it. `run` does both, and cuts steps that fail.

    Parameters
    ----------
    problem : Problem
        With the boundary values and loads of the end of the step.
    dt : float
        Length of the step [time unit].
    temperature : float, dolfinx function or array, optional
        As in `QuadratureMaterial.update`.
    """
    return _Step(problem, dt, temperature).solve()


@dataclass(slots=True)
class _Step:
    """One step: the forces out of balance at free degrees of freedom go to zero."""

    problem: Problem
    dt: float
    temperature: Any
    residuals: list[float] = field(default_factory=list)
    evaluations: int = 0
    failed: int = 0
    reaction: float = 0.0
    rises: int = 0
    supports_move: bool = False  # towards their prescribed values
    forces: np.ndarray = field(default_factory=lambda: np.zeros(0))
    seconds: dict[str, float] = field(
        default_factory=lambda: {"material": 0.0, "assembly": 0.0, "solve": 0.0}
    )

    def solve(self) -> StepResult:
        problem, limit = self.problem, self.problem.options.max_iterations
        gap = problem.gap()
        if not np.isfinite(gap):
            return self.result(f"a prescribed displacement is {gap}")
        self.supports_move = gap > ROUND_OFF * float(problem.x.norm(3))
        if not self.supports_move:
            problem.impose()
        self.residuals.append(self.evaluate())
        if self.failed:
            return self.result(self.no_solution())
        if not np.isfinite(self.residuals[0]):
            return self.result(self.out_of_balance("a load or the displacement is not finite"))
        while self.supports_move or not self.residuals[-1] <= self.goal():
            if len(self.residuals) > limit:
                return self.result(self.out_of_balance(f"Newton stopped after {limit} iterations"))
            move = self.linear_solve()
            if move is None:
                return self.result(
                    "the linear solver failed: the structure may have a mechanism, or its supports "
                    "leave a rigid motion"
                )
            if not self.go(move):
                diverged = "Newton diverges: some forces are not finite"
                return self.result(
                    self.no_solution() if self.failed else self.out_of_balance(diverged)
                )
            if self.rises > MAX_RISES:
                return self.result(self.out_of_balance("Newton does not converge"))
        problem.largest_force = max(problem.largest_force, self.reaction, self.residuals[0])
        return self.result("")

    def evaluate(self) -> float:
        """Material and forces at the current displacement; returns the norm out of balance."""
        start = time.perf_counter()
        self.failed = self.problem.material.update(self.problem.u, self.dt, self.temperature)
        self.evaluations += 1
        middle = time.perf_counter()
        self.seconds["material"] += middle - start
        if self.failed:
            return float("inf")
        self.forces = self.problem.forces(lift=self.supports_move)
        self.seconds["assembly"] += time.perf_counter() - middle
        if not self.supports_move:
            self.reaction = self.problem.norm(self.forces, fixed=True)
        return self.problem.norm(self.forces, fixed=False)

    def goal(self) -> float:
        """Norm at which the forces count as balanced."""
        options = self.problem.options
        return max(options.rtol * self.scale(), options.atol)

    def scale(self) -> float:
        """The forces at stake: reactions, or a share of what they once were or first were not."""
        past = max(self.problem.largest_force, self.residuals[0] if self.residuals else 0.0)
        return max(self.reaction, MEMORY * past)

    def linear_solve(self) -> np.ndarray | None:
        """The Newton correction (owned dofs,) to subtract, None if the solver gave up."""
        problem = self.problem
        start = time.perf_counter()
        compat.assemble_matrix(problem.matrix, problem.jacobian_form, problem.bcs)
        middle = time.perf_counter()
        right = problem.vector
        right.array[:] = np.where(problem.fixed, 0.0, self.forces)
        if self.supports_move:
            compat.set_bc(right, problem.bcs, problem.x)
        answer = right.duplicate()
        problem.ksp.solve(right, answer)
        self.seconds["assembly"] += middle - start
        self.seconds["solve"] += time.perf_counter() - middle
        move = np.array(answer.array)
        answer.destroy()
        bad = problem.ksp.getConvergedReason() < 0 or not np.isfinite(move).all()
        return None if problem.comm.allreduce(int(bad)) else move

    def go(self, move: np.ndarray) -> bool:
        """Take the correction, or the part of it that line search finds; False if points fail."""
        start = np.array(self.problem.x.array)
        norm, moving, free = self.residuals[-1], self.supports_move, ~self.problem.fixed
        slope = self.work(move[free], self.forces[free])
        best, best_norm = 0.0, np.inf
        for cut in range(self.problem.options.max_backtracks + 1):
            share = 0.5**cut
            reached = self.trial(start, move, share, moving)
            if self.failed:
                continue
            # supports that move put the forces out of balance: nothing to compare with yet
            fine = np.isfinite(reached)
            if fine and (moving or self.accepts(reached, norm, move[free], slope)):
                self.residuals.append(reached)
                return True
            if reached < best_norm:
                best, best_norm = share, reached
        if best == 0.0:
            return False
        if best_norm >= norm:
            self.rises += 1
        self.residuals.append(self.trial(start, move, best, moving))
        return not self.failed

    def trial(self, start: np.ndarray, move: np.ndarray, share: float, moving: bool) -> float:
        """Evaluate after a share of the correction; all of it brings supports to their place."""
        self.problem.x.array[:] = start - share * move
        self.supports_move = moving and share < 1.0
        if moving and share == 1.0:
            compat.impose(self.problem.x, self.problem.bcs)
        self.problem.u.x.scatter_forward()
        return self.evaluate()

    def accepts(self, reached: float, norm: float, move: np.ndarray, slope: float) -> bool:
        """Whether line search is content."""
        way = self.problem.options.line_search
        if way == "none" or reached <= self.goal() or reached <= SUFFICIENT * norm:
            return True
        if way == "residual":
            return False
        left = abs(self.work(move, self.forces[~self.problem.fixed]))
        return left <= SUFFICIENT * abs(slope)

    def work(self, move: np.ndarray, forces: np.ndarray) -> float:
        return float(self.problem.comm.allreduce(float(move @ forces)))

    def no_solution(self) -> str:
        return where.failing_point(self.problem.material, self.failed)

    def out_of_balance(self, what: str) -> str:
        place = where.largest_force(
            self.problem.space, np.where(self.problem.fixed, 0.0, self.forces)
        )
        return (
            f"{what}, forces out of balance {self.residuals[-1]:.2e} > {self.goal():.2e}, {place}"
        )

    def result(self, reason: str) -> StepResult:
        return StepResult(
            converged=not reason,
            iterations=max(len(self.residuals) - 1, 0),
            residuals=tuple(self.residuals),
            scale=self.scale(),
            evaluations=self.evaluations,
            failed_points=self.failed,
            reason=reason,
            seconds=dict(self.seconds),
        )


def _require_space_of(bcs: Sequence[Any], space: Any) -> None:
    """dolfinx passes over conditions on other spaces without a word."""
    for number, bc in enumerate(bcs, start=1):
        if not compat.holds_space(space, bc):
            raise ParameterError(
                f"boundary condition {number} of {len(bcs)} is not on the displacement's space. "
                "Make it with u.function_space or one of its components."
            )


def _test_function(external: Any, space: Any) -> Any:
    """The one in the external virtual work, or a new one."""
    if external is None:
        return ufl.TestFunction(space)
    arguments = external.arguments()
    if len(arguments) != 1 or arguments[0].ufl_function_space() != space:
        raise ParameterError(
            f"external has {len(arguments)} arguments, expected a form that is linear in one test "
            "function of the displacement's space, such as ufl.dot(t, v) * ufl.ds."
        )
    return arguments[0]
