"""Steps that are accepted, forgotten, saved and gone on with."""

import tracemalloc

import numpy as np
import pytest
from dolfinx_cases import (
    FIBRE,
    PLANE_KINDS,
    box,
    cantilever,
    composite,
    displacement,
    fem,
    roller,
    rollers,
    square,
)

from matnet import Material
from matnet.errors import FileFormatError, ParameterError
from umat_bridge.dolfinx import Problem, QuadratureMaterial, compat, run, solve_step


def bent(times=(1.0, 2.0), **more):
    problem, load = cantilever(**more)
    run(problem, times, lambda t: load(0.05 * t))
    return problem, load


def states(material):
    return np.concatenate([region.state_n.ravel() for region in material.regions])


def test_updates_change_nothing_until_commit():
    problem, load = bent((1.0,))
    before = states(problem.material).copy()
    load(0.2)
    assert solve_step(problem).converged
    assert (states(problem.material) == before).all()
    assert np.abs(problem.material.cell_values("p")).max() > 0.0
    problem.material.commit()
    assert np.abs(states(problem.material) - before).max() > 1e-4


def test_rollback_gives_the_same_bits_as_if_nothing_had_happened():
    problem, load = bent((1.0,))
    u = problem.u.x.array.copy()
    load(0.3)
    solve_step(problem)
    problem.material.rollback()
    problem.u.x.array[:] = u
    load(0.1)
    solve_step(problem)
    problem.material.commit()
    plain, load = bent((1.0,))
    load(0.1)
    solve_step(plain)
    plain.material.commit()
    assert (states(problem.material) == states(plain.material)).all()
    assert (problem.u.x.array == plain.u.x.array).all()


@pytest.mark.parametrize("kind", ["3d", "plane stress"])
def test_restart_gives_the_bits_of_an_undisturbed_run(kind, tmp_path):
    def case():
        if kind == "3d":
            return cantilever()
        u = displacement(square())
        law = QuadratureMaterial(composite(), u.function_space, kind=kind)
        bc, amount = roller(u.function_space, 0, 1.0, 0)
        problem = Problem(law, u, [*rollers(u.function_space), bc])
        return problem, lambda t: setattr(amount, "value", 0.3 * t)

    file, times = tmp_path / "state.npz", [1.0, 2.0, 3.0, 4.0]
    whole, load = case()
    run(whole, times, lambda t: load(0.03 * t))
    first, load = case()
    run(first, times[:2], lambda t: load(0.03 * t), checkpoint=file)
    second, load = case()
    result = run(second, times, lambda t: load(0.03 * t), checkpoint=file, restart=True)
    assert [i.time for i in result.increments] == [3.0, 4.0]
    assert (states(second.material) == states(whole.material)).all()
    assert (second.u.x.array == whole.u.x.array).all()
    third, _ = case()
    third.material.load(file, u=third.u)
    force = whole.reaction(whole.bcs[-1])
    assert force != 0.0 and third.reaction(third.bcs[-1]) == force


def test_run_goes_on_from_a_checkpoint_that_it_did_not_write(tmp_path):
    problem, load = bent((1.0,))
    problem.material.save(tmp_path / "own.npz", time=1.0, u=problem.u)
    other, load = cantilever()
    where, times = tmp_path / "own.npz", [1.0, 2.0]
    result = run(other, times, lambda t: load(0.05 * t), checkpoint=where, restart=True)
    whole, _ = bent(times)
    assert [increment.time for increment in result.increments] == [2.0]
    np.testing.assert_allclose(other.u.x.array, whole.u.x.array, atol=1e-7)


def test_save_keeps_what_is_committed(tmp_path):
    problem, load = bent((1.0,))
    file = tmp_path / "state.npz"
    load(0.3)
    solve_step(problem)
    problem.material.save(file, time=1.0, note=7.0)
    problem.material.commit()
    assert problem.material.load(file) == {"time": 1.0, "note": 7.0}
    plain, _ = bent((1.0,))
    assert (states(problem.material) == states(plain.material)).all()


def test_checkpoints_of_something_else_are_refused(tmp_path):
    problem, _ = bent((1.0,))
    file = tmp_path / "state.npz"
    problem.material.save(file)

    def refused(words, other=problem.material, path=file, **more):
        before = states(other).copy()
        with pytest.raises(FileFormatError, match=words):
            other.load(path, **more)
        assert (states(other) == before).all()

    refused("is a checkpoint of another mesh", cantilever(n=1)[0].material)
    domain = problem.material.mesh
    refused(
        "written with quadrature degree 2, this material has degree 3",
        QuadratureMaterial(composite(), domain, 3),
    )
    refused(
        "'state_0' has shape .* written with another material",
        QuadratureMaterial(composite(depth=2), domain),
    )
    refused("holds no 'u', it was written without", u=problem.u)
    refused("does not exist", path=tmp_path / "nothing.npz")
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    refused("text.npz: is no checkpoint", path=text)
    np.savez(tmp_path / "numbers.npz", a=np.zeros(3))
    refused("numbers.npz: is no checkpoint", path=tmp_path / "numbers.npz")


def test_damaged_checkpoints_are_refused(tmp_path):
    problem, _ = bent((1.0,), n=1)
    law = problem.material
    file, spoiled = tmp_path / "state.npz", tmp_path / "spoiled.npz"
    law.save(file)
    whole, before = file.read_bytes(), states(law).copy()
    random = np.random.default_rng(0)
    for place in random.integers(0, len(whole), 60):
        for bytes_ in (whole[:place], whole[:place] + b"\xff" * 9 + whole[place + 9 :]):
            spoiled.write_bytes(bytes_)
            try:
                law.load(spoiled)
            except FileFormatError as error:
                assert "spoiled.npz" in str(error)
            assert (states(law) == before).all()  # some bytes of a zip file mean nothing


def test_checkpoints_keep_no_displacement_of_high_degree(tmp_path):
    law = cantilever(n=1)[0].material
    cubic = fem.Function(compat.function_space(law.mesh, "Lagrange", 3, 3))
    with pytest.raises(ParameterError, match="only displacements of Lagrange degree 1 or 2"):
        law.save(tmp_path / "state.npz", u=cubic)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ParameterError])
def test_updates_that_were_cut_short_are_not_committed(error, monkeypatch):
    problem, _ = bent((1.0,))
    law, before = problem.material, states(problem.material).copy()

    def stop(*given):
        raise error("in the middle")

    monkeypatch.setattr(law, "_update_chunk", stop)
    with pytest.raises(error):
        law.update(problem.u)
    with pytest.raises(ParameterError, match="some points of the last update have no solution"):
        law.commit()
    law.rollback()
    law.commit()
    assert (states(law) == before).all()


def test_unwritable_checkpoint_is_one_sentence(tmp_path):
    with pytest.raises(ParameterError, match="cannot be written"):
        cantilever(n=1)[0].material.save(tmp_path / "missing" / "state.npz")


@pytest.mark.parametrize("kind", ["3d", "turned", *PLANE_KINDS])
def test_stated_memory_is_what_is_allocated(kind):
    flat = kind in PLANE_KINDS
    domain, start = (square(20), square(1)) if flat else (box(8), box(1))
    more = {"kind": kind} if flat else {}
    if kind == "turned":
        more["orientation"] = np.eye(3)
    material = composite(depth=5) if kind == "3d" else Material.homogeneous(FIBRE)
    u, small = displacement(domain), displacement(start)
    QuadratureMaterial(material, small.function_space, **more).update(small)  # compiles
    tracemalloc.start()
    law = QuadratureMaterial(material, domain, **more)
    law.update(u)
    python, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    functions = law.stress.x.array.nbytes + law.tangent.x.array.nbytes  # allocated in C++
    measured = (python + functions) / law.n_points
    assert law.memory_per_point == pytest.approx(measured, rel=0.1)
    assert f"{law.n_points} Gauss points, {len(law.points)} per cell" in str(law)
    assert f"{law.memory_per_point:.0f} bytes each" in str(law)


def test_threads_do_not_change_the_result():
    found = []
    for threads in (1, 2):
        problem, load = cantilever(n=3, threads=threads)
        load(0.1)
        solve_step(problem)
        found.append(problem.u.x.array.copy())
    assert (found[0] == found[1]).all()


def test_commit_refuses_points_without_solution():
    problem, load = cantilever(material=composite().with_options(max_iterations=2, max_cuts=0))
    load(3.0)
    solve_step(problem)
    with pytest.raises(ParameterError, match="some points of the last update have no solution"):
        problem.material.commit()
