"""Cells: the torch renderer draws what the generator draws; sets are stored whole."""

import numpy as np
import pytest
import torch

import offline.surrogates.voigt_reuss.cells as cells_module
from matnet.errors import FileFormatError, ParameterError, ShapeError
from offline.rve.generators.trigonometric import random_amplitudes, trigonometric_field
from offline.surrogates.voigt_reuss.cells import (
    draw_cells,
    generate_2d,
    load_cells,
    printer_phases,
    save_cells,
)
from offline.surrogates.voigt_reuss.fields import embed_modes, render, scaled_field
from offline.surrogates.voigt_reuss.plane_strain import homogenize_images


@pytest.fixture(scope="module")
def twelve():
    return generate_2d(12, seed=3, resolution=16, per_field=3)


@pytest.mark.parametrize("modes", [3, 7, 11])
def test_renderer_draws_the_generators_picture(modes):
    amplitudes = random_amplitudes(modes, 5)
    field = scaled_field(torch.tensor(amplitudes), 40)
    expected = trigonometric_field(amplitudes, (40, 40))
    assert np.abs(field.numpy() - expected).max() < 1e-12
    embedded = embed_modes(torch.tensor(amplitudes))
    assert embedded.shape == (11, 11)
    assert torch.allclose(scaled_field(embedded, 40), field, atol=1e-13)
    picture = render(embedded, torch.tensor(0.4, dtype=torch.float64), 40)
    # pixels within 20 temperatures of the threshold are soft
    clear = np.abs(expected - 0.4) > 2e-3
    assert np.abs(picture.numpy() - (expected >= 0.4))[clear].max() < 1e-8


def test_renderer_has_the_right_derivative():
    amplitudes = torch.tensor(np.stack([random_amplitudes(3, s) for s in (1, 2)]))
    tau = torch.tensor([0.4, 0.6], dtype=torch.float64)

    def draw(a, t):
        return render(a, t, 6, temperature=0.1)

    assert torch.autograd.gradcheck(draw, (amplitudes.requires_grad_(), tau.requires_grad_()))


def test_volume_fraction_of_phase_0_rises_with_the_threshold():
    amplitudes = torch.tensor(random_amplitudes(5, 1))
    tau = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    c0 = 1.0 - render(amplitudes.expand(9, -1, -1), tau, 32).mean(dim=(1, 2))
    assert (c0.diff() > 0.0).all()


def test_cells_follow_the_papers_rules(twelve):
    assert len(twelve) == 12
    assert twelve.images.shape == (12, 16, 16)
    assert twelve.c0 == pytest.approx(1.0 - twelve.images.mean(axis=(1, 2)))
    assert ((twelve.c0 >= 0.01) & (twelve.c0 <= 0.99)).all()
    steps = twelve.tau * 26.0
    assert steps == pytest.approx(steps.round())
    sizes = [int((a != 0.0).any(axis=1).sum()) for a in twelve.amplitudes]
    assert [sizes[list(twelve.field).index(g)] for g in range(4)] == [3, 5, 7, 9]
    for image, amplitudes, tau in zip(twelve.images, twelve.amplitudes, twelve.tau, strict=True):
        field = trigonometric_field(amplitudes.astype(float), (16, 16))
        assert (image == (field >= tau)).all()


def test_labels_are_homogenised_pictures_within_their_bounds(twelve):
    again = homogenize_images(twelve.images, printer_phases(), tol=1e-9)
    error = np.linalg.norm(twelve.stiffness - again, axis=(1, 2))
    # the tolerance is on an estimate, from above in most steps only
    assert (error < 2e-4 * np.linalg.norm(again, axis=(1, 2))).all()
    assert not any(found.any() for found in twelve.gap.violations(again, tol=1e-9).values())


def test_a_longer_set_begins_with_the_shorter_one(twelve):
    assert np.array_equal(generate_2d(5, 3, resolution=16, per_field=3).bits, twelve.bits[:5])
    first = next(draw_cells(4, 16))
    assert not np.array_equal(first[1], twelve.amplitudes[0])


def test_split_keeps_fields_together(twelve):
    some, others = twelve.split(0.25, seed=0)
    assert len(some) + len(others) == 12
    assert not set(some.field) & set(others.field)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        twelve.split(1.0, seed=0)


def test_sets_survive_the_disk(tmp_path, twelve):
    save_cells(tmp_path / "cells.npz", twelve)
    again = load_cells(tmp_path / "cells.npz")
    for name in ("bits", "resolution", "stiffness", "phases", "amplitudes", "tau", "field"):
        assert np.array_equal(getattr(again, name), getattr(twelve, name))
    with np.load(tmp_path / "cells.npz") as file:
        assert np.array_equal(file["C_V"], twelve.gap.upper)


def test_a_killed_run_goes_on_where_it_was(tmp_path, monkeypatch, twelve):
    monkeypatch.setattr(cells_module, "PART", 5)
    path = tmp_path / "cells.npz"
    calls = []

    def stop(done):
        calls.append(done)
        if done == 10 and len(calls) == 2:
            raise KeyboardInterrupt

    request = {"resolution": 16, "per_field": 3, "path": path}
    with pytest.raises(KeyboardInterrupt):
        generate_2d(12, 3, progress=stop, **request)
    assert not path.exists()
    with pytest.raises(ParameterError, match="parts of another set"):
        generate_2d(12, 4, **request)
    labelled = []
    original = cells_module._label
    monkeypatch.setattr(
        cells_module, "_label", lambda chunk, *rest: labelled.append(1) or original(chunk, *rest)
    )
    result = generate_2d(12, 3, progress=stop, **request)
    assert len(labelled) == 1
    assert np.array_equal(result.stiffness, twelve.stiffness)
    assert np.array_equal(load_cells(path).bits, twelve.bits)
    assert not path.with_name("cells.npz.work").exists()


def test_wrong_files_are_refused(tmp_path, twelve):
    path = tmp_path / "cells.npz"
    with pytest.raises(FileFormatError, match=r"cells.npz: cannot be read as plane cells"):
        load_cells(path)
    np.savez(path, a=1)
    with pytest.raises(FileFormatError, match="no set of plane cells"):
        load_cells(path)
    save_cells(path, twelve)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(FileFormatError, match="Generate it again"):
        load_cells(path)
    with pytest.raises(ParameterError, match=r"stored as \.npz"):
        save_cells(tmp_path / "cells.h5", twelve)


def test_wrong_requests_are_named():
    with pytest.raises(ParameterError, match="n = 0"):
        generate_2d(0, 0)
    with pytest.raises(ParameterError, match="odd numbers from 3 to 11"):
        generate_2d(1, 0, modes=(4,))
    with pytest.raises(ParameterError, match="per_field is 26"):
        generate_2d(1, 0, per_field=26)
    with pytest.raises(ShapeError, match=r"expected \(2, 3, 3\)"):
        generate_2d(1, 0, phases=np.eye(3))
    with pytest.raises(ShapeError, match="odd numbers of rows"):
        embed_modes(torch.zeros(4, 3))
    with pytest.raises(ParameterError, match="constant field"):
        scaled_field(torch.zeros(3, 3), 8)
    with pytest.raises(ParameterError, match="temperature is 0"):
        render(torch.rand(3, 3), torch.tensor(0.5), 8, temperature=0.0)
