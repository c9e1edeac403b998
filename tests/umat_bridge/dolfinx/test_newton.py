"""Newton's method, linear solvers, and steps that cut and grow."""

import numpy as np
import pytest
from dolfinx_cases import (
    FIBRE,
    MATRIX,
    box,
    cantilever,
    composite,
    displacement,
    face_measure,
    fem,
    rollers,
    traction,
    ufl,
)

from matnet import Material
from matnet.errors import ConvergenceError, ParameterError
from matnet.phases import DruckerPrager, Elastic, ThermalExpansion
from umat_bridge.dolfinx import (
    NewtonOptions,
    Problem,
    QuadratureMaterial,
    Stepping,
    gamg_options,
    run,
    solve_step,
)


def bend(problem, load, amount=0.1):
    load(amount)
    return solve_step(problem)


def test_newton_is_quadratic():
    result = bend(*cantilever(options=NewtonOptions(rtol=1e-10)))
    before, last, final = np.array(result.residuals[-3:]) / result.scale
    assert result.converged and result.iterations >= 3
    assert last < 1e-2 and final < 5.0 * last * (last / before) and final < 1e-9
    # order of convergence from the last three norms
    assert np.log(final / last) / np.log(last / before) > 1.6


def test_newton_is_quadratic_where_tangents_are_not_symmetric():
    matrix = DruckerPrager(E=3.8, nu=0.387, cohesion=0.01, friction=30.0, dilatancy=0.0, H=0.1)
    problem, load = cantilever(material=composite(matrix=matrix), options=NewtonOptions(rtol=1e-10))
    result = bend(problem, load, 0.05)
    tangents = np.reshape(problem.material.tangent.x.array, (-1, 6, 6))
    off = np.abs(tangents - np.swapaxes(tangents, 1, 2)).max()
    assert result.converged and off > 1e-2 * np.abs(tangents).max()
    ratios = np.array(result.residuals) / result.scale
    assert ratios[-1] < 10.0 * ratios[-2] ** 2 + 1e-11


def test_linear_material_takes_one_iteration():
    elastic = Material.homogeneous(Elastic(E=70.0, nu=0.3))
    result = bend(*cantilever(material=elastic))
    assert result.converged and result.iterations == 1 and result.evaluations == 2


def test_multigrid_with_rigid_body_modes_equals_direct_solver():
    found = []
    for options in (None, gamg_options(rtol=1e-10)):
        problem, load = cantilever(petsc_options=options, options=NewtonOptions(rtol=1e-10))
        assert bend(problem, load).converged
        found.append((problem.u.x.array.copy(), problem.ksp))
    (direct, _), (krylov, ksp) = found
    assert ksp.getType() == "cg" and ksp.getPC().getType() == "gamg"
    assert ksp.getIterationNumber() < 40
    np.testing.assert_allclose(krylov, direct, atol=1e-9)


@pytest.mark.parametrize("line_search", ["residual", "energy", "none"])
def test_every_line_search_finds_the_same_balance(line_search):
    options = NewtonOptions(line_search=line_search, rtol=1e-10)
    problem, load = cantilever(options=options)
    result = bend(problem, load, 0.3)
    assert result.converged
    reference, load = cantilever(options=NewtonOptions(rtol=1e-10))
    bend(reference, load, 0.3)
    np.testing.assert_allclose(problem.u.x.array, reference.u.x.array, atol=1e-8)


def test_reactions_balance_the_traction():
    u = displacement(box(2))
    work, _ = traction(u.function_space, 0, 1.0, [0.03, 0.0, 0.0])
    problem = Problem(
        QuadratureMaterial(composite(), u.function_space),
        u,
        rollers(u.function_space),
        external=work,
    )
    assert solve_step(problem).converged
    assert problem.reaction(problem.bcs[0]) == pytest.approx(-0.03, rel=1e-7)


def test_springs_in_the_external_work_keep_newton_quadratic():
    u = displacement(box(2))
    space = u.function_space
    v, ds = ufl.TestFunction(space), face_measure(space, 0, 1.0)
    pull = fem.Constant(space.mesh, np.array([0.03, 0.0, 0.0]))
    work = ufl.dot(pull, v) * ds(1) - 0.4 * ufl.dot(u, v) * ds
    problem = Problem(
        QuadratureMaterial(composite(), space),
        u,
        rollers(space),
        external=work,
        options=NewtonOptions(rtol=1e-11),
    )
    result = solve_step(problem)
    assert result.converged and result.iterations <= 5


def test_failing_step_is_cut_and_grows_again(monkeypatch):
    problem, load = cantilever()
    material, original = problem.material, problem.material.update

    def brittle(u, dt, temperature=None):
        """No solution for steps longer than 0.3, as a law has that cannot follow."""
        failed = original(u, dt, temperature)
        if dt > 0.3:
            material.status[0, 0] = 2
            return 1
        return failed

    monkeypatch.setattr(material, "update", brittle)
    seen = []
    result = run(problem, [1.0, 1.2, 1.4], lambda t: load(0.1 * t), on_step=seen.append)
    assert result.time == 1.4 and list(result.increments) == seen
    sizes = [increment.dt for increment in seen]
    assert seen[0].cuts == 2 and sizes[0] == pytest.approx(0.25)
    assert result.cuts >= 2 and max(sizes) <= 0.3
    assert [i.time for i in seen if i.reached] == [1.0, 1.2, 1.4]
    assert sizes[-1] == pytest.approx(0.2)  # grown back to the whole step


def test_cut_steps_end_near_the_uncut_ones():
    whole, load = cantilever(options=NewtonOptions(rtol=1e-10))
    run(whole, [1.0], lambda t: load(0.05 * t))
    parts, load = cantilever(options=NewtonOptions(rtol=1e-10))
    result = run(parts, [1.0], lambda t: load(0.05 * t), stepping=Stepping(first=0.2, growth=1.5))
    assert len(result.increments) >= 4 and result.increments[-1].dt > 0.2
    largest = np.abs(whole.u.x.array).max()
    assert np.abs(parts.u.x.array - whole.u.x.array).max() < 0.02 * largest


def histories(amounts, **more):
    """Iterations per step with and without prediction, and both displacements at the end."""
    iterations, ends = [], []
    for predict in (True, False):
        problem, load = cantilever(options=NewtonOptions(rtol=1e-10), **more)
        times, stepping = np.arange(1.0, len(amounts) + 1), Stepping(predict=predict)
        steps = dict(zip(times, amounts, strict=True))
        result = run(problem, times, lambda t, load=load, s=steps: load(s[t]), stepping=stepping)
        iterations.append(np.array([increment.step.iterations for increment in result.increments]))
        ends.append(problem.u.x.array.copy())
    return iterations, ends


def test_prediction_saves_an_iteration_per_step():
    (predicted, plain), (u, reference) = histories(0.02 * np.arange(1, 7))
    np.testing.assert_allclose(u, reference, atol=1e-9)
    assert (predicted[1:] <= plain[1:]).all() and (plain - predicted)[1:].sum() >= 5


def test_prediction_leaves_holding_and_reversal_alone():
    (predicted, plain), (u, reference) = histories([0.05, 0.05, 0.03, 0.05])
    np.testing.assert_allclose(u, reference, atol=1e-9)
    assert (predicted == plain).all()


def test_step_that_fails_from_the_prediction_starts_from_where_it_was(monkeypatch):
    problem, load = cantilever()
    law, original = problem.material, problem.material.update
    start = np.zeros_like(problem.u.x.array)

    def shy(u, dt, temperature=None):
        """No solution for a displacement far from the start of the second step, at first."""
        failed = original(u, dt, temperature)
        if start.any() and not shy.called:
            shy.called = True
            assert np.abs(u.x.array - 2.0 * start).max() < 1e-12  # the prediction
            law.status[0, 0] = 2
            return 1
        return failed

    shy.called = False
    monkeypatch.setattr(law, "update", shy)

    def keep(increment):
        start[:] = problem.u.x.array

    result = run(problem, [1.0, 2.0], lambda t: load(0.05 * t), on_step=keep)
    assert shy.called and result.time == 2.0 and result.cuts == 0


def test_steps_that_stay_out_of_balance_say_where(tmp_path):
    problem, load = cantilever(options=NewtonOptions(max_iterations=1))
    file = tmp_path / "last.npz"
    with pytest.raises(ConvergenceError) as caught:
        run(
            problem,
            [1.0, 2.0],
            lambda t: load(1e-5 * t if t <= 1.0 else 0.3 * t),
            checkpoint=file,
            stepping=Stepping(max_cuts=1),
        )
    message = str(caught.value)
    assert "Step 2 of 2 failed at its smallest size 0.5 after 1 cuts: Newton stopped" in message
    assert "largest at cell " in message and "node at (" in message
    assert f"The last converged time is 1. It is in {file}." in message
    assert "Try smaller steps" in message
    assert caught.value.result.time == 1.0
    numbers = problem.material.load(file, u=problem.u)
    assert numbers["time"] == 1.0


def test_points_without_solution_are_named():
    problem, load = cantilever(material=composite().with_options(max_iterations=2, max_cuts=0))
    with pytest.raises(ConvergenceError) as caught:
        run(problem, [1.0], lambda t: load(3.0 * t), stepping=Stepping(max_cuts=0))
    message = str(caught.value)
    assert "the material has no solution at" in message and "of 64 points (first: cell" in message
    assert "of 8 at (" in message and "not converged)" in message
    assert not problem.u.x.array.any()


def test_nothing_to_do_is_no_iteration():
    u = displacement(box(2))
    expands = ThermalExpansion(FIBRE, alpha=1e-3, reference_temperature=20.0)
    law = QuadratureMaterial(Material.homogeneous(expands), u.function_space)
    problem = Problem(law, u, rollers(u.function_space))
    warm = {1.0: 30.0, 2.0: 30.0, 3.0: 20.0, 4.0: 20.0}  # held twice, without any force
    stepping = Stepping(predict=False)
    result = run(problem, list(warm), lambda t: None, temperature=warm.get, stepping=stepping)
    assert [increment.step.iterations for increment in result.increments] == [1, 0, 1, 0]


def test_loads_that_are_no_numbers_are_reported():
    problem, load = cantilever()
    result = bend(problem, load, np.nan)
    assert not result.converged and result.reason == "a prescribed displacement is nan"
    u = displacement(box(2))
    work, _ = traction(u.function_space, 0, 1.0, [np.nan, 0.0, 0.0])
    law = QuadratureMaterial(composite(), u.function_space)
    result = solve_step(Problem(law, u, rollers(u.function_space), external=work))
    assert not result.converged
    assert "a load or the displacement is not finite, forces out of balance nan" in result.reason


def test_after_failure_reactions_are_those_of_the_last_balance():
    problem, load = cantilever()
    end = problem.bcs[1]
    run(problem, [1.0], lambda t: load(0.05 * t))
    held = problem.reaction(end)
    load(0.1)
    assert solve_step(problem).converged
    assert abs(problem.reaction(end)) > 1.1 * abs(held)
    problem.material.rollback()
    assert abs(held) > 0.0 and problem.reaction(end) == held


def test_missing_supports_are_reported():
    u = displacement(box(1))
    work, _ = traction(u.function_space, 0, 1.0, [0.03, 0.0, 0.0])
    law = QuadratureMaterial(Material.homogeneous(MATRIX), u.function_space)
    result = solve_step(Problem(law, u, [], external=work))
    assert not result.converged


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rtol": 0.0}, "NewtonOptions: rtol = 0.0, expected a value between 0 and 1"),
        ({"line_search": "x"}, "line_search is 'x', expected one of residual, energy, none"),
        ({"max_iterations": 0}, "expected at least 1 and 0"),
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(ParameterError, match=words):
        NewtonOptions(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cut": 1.0}, "Stepping: cut = 1.0, expected a value between 0 and 1"),
        ({"growth": 0.5}, "growth = 0.5, expected a value between 1 and 100"),
        ({"max_cuts": -1}, "expected at least 1 and 0"),
        ({"first": 0.0}, "first = 0.0"),
    ],
)
def test_stepping_out_of_range(options, words):
    with pytest.raises(ParameterError, match=words):
        Stepping(**options)


def test_times_have_to_increase():
    problem, load = cantilever(n=1)
    for times, words in (([1.0, 1.0], "do not increase from 0"), ([], "a list of numbers")):
        with pytest.raises(ParameterError, match=words):
            run(problem, times, load)
    with pytest.raises(ParameterError, match="restart needs the path of the checkpoint"):
        run(problem, [1.0], load, restart=True)


def test_external_work_has_one_test_function():
    u = displacement(box(1))
    law = QuadratureMaterial(composite(), u.function_space)
    work = ufl.dot(u, u) * ufl.dx
    with pytest.raises(ParameterError, match="external has 0 arguments, expected a form that is"):
        Problem(law, u, [], external=work)
