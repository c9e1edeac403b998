"""Families of cells: seeded, sound, varied."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from matnet.elasticity import isotropic
from matnet.errors import ParameterError
from offline.rve import Rve, complaint
from offline.rve.generators.shells import shell
from offline.surrogates.draws import skin
from offline.surrogates.families import FAMILIES, Family, family, family_names

N = 16
CELLULAR = [name for name in FAMILIES if not name.startswith("density")]


@pytest.mark.parametrize("name", FAMILIES)
def test_sample_is_a_function_of_family_seed_and_resolution(name):
    first, again = (family(name).sample(7, N) for _ in range(2))
    assert first.rve == again.rve and first.rve.source == again.rve.source
    assert (first.nu, first.name, first.seed) == (again.nu, again.name, 7)
    assert family(name).sample(8, N).rve != first.rve
    assert family(name).sample(7, 12).rve.shape == (12, 12, 12)


@pytest.mark.parametrize("name", CELLULAR)
def test_every_cell_carries_all_strains_and_has_no_islands(name):
    for seed in range(12):
        sample = family(name).sample(seed, N)
        assert complaint(sample.rve) is None
        assert sample.rve.phase_names == ("void", "solid")
        assert sample.volume_fraction == pytest.approx(sample.rve.fractions[1])


@pytest.mark.parametrize("name", FAMILIES)
def test_stiffness_is_that_of_unit_modulus_and_the_sampled_ratio(name):
    sample = family(name).sample(3, 8)
    solid = sample.rve.phase_index("solid")
    np.testing.assert_allclose(sample.stiffnesses[solid], isotropic(E=1.0, nu=sample.nu))
    assert len(sample.stiffnesses) == sample.rve.n_phases
    assert not sample.stiffnesses[sample.rve.void].any()


@pytest.mark.parametrize("name", ["truss", "tpms", "psl"])
def test_poissons_ratio_fills_the_range_of_metals(name):
    ratios = np.array([family(name).sample(seed, 12).nu for seed in range(60)])
    assert ratios.min() > 0.25 and ratios.max() < 0.45
    assert ratios.mean() == pytest.approx(0.35, abs=0.025) and ratios.std() > 0.045


def test_one_poissons_ratio_leaves_the_cells_as_they_are():
    free, fixed = family("truss").sample(4, N), family("truss", nu=0.3).sample(4, N)
    assert fixed.nu == 0.3 != free.nu and fixed.rve == free.rve


def test_families_hold_the_kinds_that_the_documents_name():
    def kinds(name, count, n=8):
        return Counter(family(name).sample(seed, n).name for seed in range(count))

    tpms = kinds("tpms", 60, 16)
    assert {key.split()[0] for key in tpms} == {"schwarz-p", "gyroid", "schwarz-d", "iwp", "frd"}
    assert 18 < sum(n for key, n in tpms.items() if key.endswith("sheet")) < 42
    truss = kinds("truss", 60, 12)
    assert {f"random-{s}" for s in ("none", "orthotropic", "cubic")} < set(truss)
    assert len(truss) > 10
    assert len(kinds("frame", 60)) == 9
    assert {key.split()[0] for key in kinds("psl", 30)} == {"shell", "plate", "foam"}


def test_types_of_ph_nets_second_set_are_fixed():
    def seen(name, count):
        cells = [family(name).sample(seed, 12) for seed in range(count)]
        return {(one.name, one.nu) for one in cells}

    trusses = seen("truss-types", 150)
    assert 60 < len(trusses) <= 100 and {nu for _, nu in trusses} == {0.3}
    assert 6 < sum(not name.startswith("random") for name, _ in trusses) <= 16
    assert len(seen("shell-types", 120)) == 16


def test_a_type_is_the_same_net_of_struts_at_every_volume_fraction():
    """Thinner struts lie within thicker ones."""
    cells = [family("truss-types").sample(seed, 12) for seed in range(200)]
    kinds = Counter(one.name for one in cells if one.name.startswith("random"))
    name, count = kinds.most_common(1)[0]
    same = sorted((c for c in cells if c.name == name), key=lambda c: c.volume_fraction)
    assert count > 2
    for thin, thick in pairwise(same):
        assert thick.rve.solid_mask[thin.rve.solid_mask].mean() > 0.99


def test_volume_fractions_spread_over_the_range():
    for name, low, high in (("truss", 0.15, 0.42), ("tpms", 0.2, 0.5), ("psl", 0.17, 0.4)):
        found = [family(name).sample(seed, N).volume_fraction for seed in range(40)]
        assert min(found) < low and max(found) > high, name


def test_skins_from_kept_distances_are_those_of_the_generator():
    for seed in range(40):
        sample = family("psl").sample(seed, 12)
        kind, topology = sample.name.split(" ")
        if kind == "shell":
            break
    rng_free = shell(topology=topology, n=12, volume_fraction=sample.volume_fraction, enclosed=0.5)
    assert skin(topology, 12, sample.volume_fraction, 0.5) == rng_free


def test_tubular_gyroids_are_sheared_and_stretched():
    for seed in range(6):
        cell = family("tubular-gyroid").sample(seed, N).rve.cell
        lengths = np.linalg.norm(cell, axis=1)
        assert lengths.max() == pytest.approx(1.0) and lengths.min() >= 0.5
        unit = cell / lengths[:, None]
        cosines = (unit @ unit.T)[np.triu_indices(3, 1)]
        assert (cosines >= -1e-12).all() and (cosines <= np.cos(np.radians(75.0)) + 1e-12).all()


def test_density_fields_have_the_documents_range_and_mean():
    plain = family("density-lhs").sample(0, N)
    assert plain.rve.density.min() > 0.0
    assert plain.volume_fraction == pytest.approx(0.5, abs=0.02)
    penalised = {family("density-plhs").sample(seed, 8).volume_fraction for seed in range(20)}
    assert min(penalised) < 0.45 and max(penalised) > 0.7


def test_family_without_sound_cells_is_named():
    def rod(n, rng):
        phases = np.zeros((n, n, n), dtype=np.uint8)
        phases[:, 0, 0] = 1
        return Rve(phases=phases, phase_names=("void", "solid")), "rod"

    with pytest.raises(ParameterError) as refused:
        Family(name="rods", about="one rod along x1", draw=rod).sample(0, 4)
    assert str(refused.value) == (
        "family 'rods': none of 200 cells of 4 voxels per axis (seed 0) carries all strains. "
        "Use a higher resolution."
    )


def test_unknown_names_and_numbers_are_named():
    with pytest.raises(ParameterError) as refused:
        family("gyroids")
    assert str(refused.value) == (
        f"family 'gyroids' is unknown, expected one of {', '.join(family_names())}."
    )
    with pytest.raises(ParameterError, match=r"nu is 0\.6, expected -0.99 to 0.49"):
        family("truss", nu=0.6)
    with pytest.raises(ParameterError, match="seed is -1, expected an integer, 0 or more"):
        family("truss").sample(-1, 16)
    with pytest.raises(ParameterError, match="resolution is 2, expected an integer, 4 or more"):
        family("truss").sample(0, 2)
