"""Images and labels in space: drawn by number, admissible, stored, resumed."""

import dataclasses

import numpy as np
import pytest
import torch

from matnet.elasticity import hill, isotropic, laminate
from matnet.errors import FileFormatError, ParameterError, ShapeError
from offline.homogenization import SolverOptions, homogenize
from offline.morphology import descriptors
from offline.rve.rve import Rve
from offline.surrogates.voigt_reuss.space import cells as module
from offline.surrogates.voigt_reuss.space.cells import (
    generate_3d,
    load_space_cells,
    save_space_cells,
)
from offline.surrogates.voigt_reuss.space.images import KINDS, draw_image, sheared
from offline.surrogates.voigt_reuss.space.phases import (
    contrasts,
    isotropic_gap,
    isotropic_phases,
    moduli_of,
    root_and_upper,
    swapped_contrasts,
)

SIDE = 12


@pytest.fixture(scope="module")
def cells():
    return generate_3d(2 * len(KINDS), seed=3, resolution=SIDE, contrasts=2)


def test_phases_have_the_given_moduli():
    pair = isotropic_phases([[2.0, 3.0, 5.0, 7.0]])[0]
    for c, bulk, shear in ((pair[0], 2.0, 3.0), (pair[1], 5.0, 7.0)):
        E = 9.0 * bulk * shear / (3.0 * bulk + shear)
        nu = (3.0 * bulk - 2.0 * shear) / (2.0 * (3.0 * bulk + shear))
        assert np.allclose(c, isotropic(E=E, nu=nu), rtol=1e-12)


def test_contrasts_are_those_of_the_paper_and_swap_with_the_phases():
    moduli = np.array([[4.0, 3.0, 5.0, 7.0]])
    found = contrasts(moduli)
    assert np.allclose(10.0**found, [[5.0 / 4.0, 3.0 / 4.0, 7.0 / 4.0]])
    assert np.allclose(moduli_of(found) * 4.0, moduli)
    swapped = swapped_contrasts(torch.tensor(found)).numpy()
    assert np.allclose(swapped, contrasts(moduli[:, [2, 3, 0, 1]]))
    with pytest.raises(ShapeError, match=r"moduli have shape \(4,\), expected \(n, 4\)"):
        contrasts(moduli[0])
    with pytest.raises(ParameterError, match="moduli hold 0, expected values > 0"):
        contrasts([[1.0, 0.0, 1.0, 1.0]])


@pytest.mark.parametrize("moduli", [[1.0, 2.0, 30.0, 0.4], [1.0, 2.0, 1.0, 3.0], [1.0, 1, 1, 1]])
def test_closed_form_of_the_gap_is_the_general_one(moduli):
    gap = isotropic_gap([moduli], [0.3])
    double = torch.float64
    root, upper = root_and_upper(
        torch.tensor([moduli], dtype=double), torch.tensor([0.3], dtype=double)
    )
    assert np.abs(root.numpy() - gap.root).max() < 1e-12
    assert np.abs(upper.numpy() - gap.upper).max() < 1e-12
    assert hill(isotropic_phases([moduli])[0], [0.7, 0.3]) == pytest.approx(
        0.5 * (gap.upper + gap.lower)[0]
    )


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_images_hold_both_phases_and_depend_on_their_number_alone(number):
    image, kind = draw_image(5, number, SIDE)
    again, _ = draw_image(5, number, SIDE)
    assert kind == tuple(KINDS)[number]
    assert np.array_equal(image, again)
    assert image.dtype == np.uint8
    assert 0.03 <= image.mean() <= 0.97
    assert not np.array_equal(image, draw_image(6, number, SIDE)[0])


def test_sheared_images_stay_periodic():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 2, (6, 6, 6))
    moved = sheared(image, 0, 2)
    for k in range(6):
        assert np.array_equal(moved[:, :, k], np.roll(image[:, :, k], k, axis=0))
    assert np.array_equal(sheared(moved, 0, 2, -1), image)


def test_labels_are_the_homogenised_stiffness(cells):
    for number in (1, 7):
        image = cells.images[cells.image[number]]
        phases = isotropic_phases(cells.moduli[number])[0]
        exact = homogenize(Rve(phases=image), phases, SolverOptions(tol=1e-8)).stiffness
        assert np.linalg.norm(cells.stiffness[number] - exact) < 1e-4 * np.linalg.norm(exact)
    assert np.array_equal(cells.descriptors[3], descriptors(cells.images[3]).values)
    assert np.array_equal(cells.fraction, cells.images.mean(axis=(1, 2, 3))[cells.image])


def test_labels_keep_between_the_bounds(cells):
    assert {n: int(v.sum()) for n, v in cells.gap.violations(cells.stiffness).items()} == {
        "voigt": 0,
        "reuss": 0,
        "definite": 0,
    }
    assert np.abs(cells.ratios).max() <= 2.0
    assert cells.ratios.std() > 0.8


def test_laminates_reach_the_closed_form():
    image = np.zeros((8, 8, 8), dtype=np.uint8)
    image[:3] = 1
    phases = isotropic_phases([[1.0, 0.5, 30.0, 10.0]])[0]
    found = homogenize(Rve(phases=image), phases, SolverOptions(tol=1e-9)).stiffness
    exact = laminate(phases, [5.0 / 8.0, 3.0 / 8.0], (1.0, 0.0, 0.0))
    assert np.abs(found - exact).max() < 1e-6 * np.abs(exact).max()


def test_split_keeps_an_image_on_one_side(cells):
    training, aside = cells.split(0.3, seed=1)
    assert len(training) + len(aside) == len(cells)
    assert len(training.kind) + len(aside.kind) == len(cells.kind)
    assert not {b.tobytes() for b in training.bits} & {b.tobytes() for b in aside.bits}
    some = cells.pick([5, 2])
    assert np.array_equal(some.images[some.image], cells.images[cells.image[[5, 2]]])
    with pytest.raises(ParameterError, match="share is 1, expected a value between 0 and 1"):
        cells.split(1.0, seed=0)


def test_cells_survive_the_file(cells, tmp_path):
    save_space_cells(tmp_path / "cells.npz", cells)
    back = load_space_cells(tmp_path / "cells.npz")
    for one in dataclasses.fields(cells):
        assert np.array_equal(getattr(back, one.name), getattr(cells, one.name))
    with pytest.raises(ParameterError, match=r"cells are stored as \.npz"):
        save_space_cells(tmp_path / "cells.h5", cells)
    (tmp_path / "bad.npz").write_bytes((tmp_path / "cells.npz").read_bytes()[:100])
    with pytest.raises(FileFormatError, match=r"bad\.npz: cannot be read as space cells"):
        load_space_cells(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(FileFormatError, match=r"other\.npz: no set of space cells"):
        load_space_cells(tmp_path / "other.npz")
    save_space_cells(tmp_path / "odd.npz", dataclasses.replace(cells, kind=cells.kind[:2]))
    with pytest.raises(FileFormatError, match=r"odd\.npz: arrays of different lengths"):
        load_space_cells(tmp_path / "odd.npz")
    renamed = dataclasses.replace(cells, names=np.char.add(cells.names, "x"))
    save_space_cells(tmp_path / "old.npz", renamed)
    with pytest.raises(FileFormatError, match="its descriptors are not those of this version"):
        load_space_cells(tmp_path / "old.npz")


def test_killed_generation_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART", 2)
    path = tmp_path / "cells.npz"
    whole = generate_3d(8, seed=1, resolution=8, contrasts=2)
    labelled, calls = module._labelled, []

    def killed(number, **rest):
        calls.append(number)
        if number == 3:
            raise KeyboardInterrupt
        return labelled(number, **rest)

    monkeypatch.setattr(module, "_labelled", killed)
    with pytest.raises(KeyboardInterrupt):
        generate_3d(8, seed=1, resolution=8, contrasts=2, path=path)
    monkeypatch.setattr(module, "_labelled", labelled)
    with pytest.raises(ParameterError, match="holds parts of another set of cells"):
        generate_3d(8, seed=2, resolution=8, contrasts=2, path=path)
    again = generate_3d(8, seed=1, resolution=8, contrasts=2, path=path)
    assert calls == [0, 1, 2, 3]
    assert np.array_equal(again.stiffness, whole.stiffness)
    assert np.array_equal(load_space_cells(path).bits, whole.bits)
    assert not (tmp_path / "cells.npz.work").exists()


def test_wrong_requests_are_named():
    with pytest.raises(ParameterError, match="n = 0, contrasts = 4, expected at least 1"):
        generate_3d(0, seed=0)
