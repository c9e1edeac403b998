"""Descriptors against closed forms, and how they turn, shift and swap with the image."""

import numpy as np
import pytest
from scipy import ndimage

from matnet.errors import ParameterError, ShapeError
from offline.morphology import CUBE, Descriptors, descriptors, names, selection, turn_image
from offline.morphology.catalogue import BLOCKS, LINES, TENSOR4
from offline.morphology.conduction import LEAK, effective_conductivity
from offline.morphology.correlation import harmonic_norm
from offline.morphology.distance import contact_distance, local_thickness
from offline.morphology.lines import CROFTON

N = 12


def smooth_image(seed=0, n=N):
    """An irregular image without symmetries."""
    noise = np.random.default_rng(seed).normal(size=(n, n, n))
    field = ndimage.gaussian_filter(noise, (1.0, 1.5, 2.5), mode="wrap")
    return (field > np.quantile(field, 0.6)).astype(np.uint8)


def laminate(n=16):
    """Phase 1 fills a quarter, normal x."""
    image = np.zeros((n, n, n), dtype=np.uint8)
    image[: n // 4] = 1
    return image


def sphere(n=32, radius=0.35):
    x = (np.arange(n) + 0.5) / n - 0.5
    return (x[:, None, None] ** 2 + x[:, None] ** 2 + x**2 <= radius**2).astype(np.uint8)


def test_every_number_has_its_own_name_and_a_group():
    assert len(set(names())) == len(names()) == len(descriptors(smooth_image()).values)
    groups = [selection((group,)) for group in ("isotropic", "directional", "conduction")]
    assert sorted(np.concatenate(groups)) == list(range(len(names())))
    assert set(descriptors(laminate()).as_dict()) == set(names())


@pytest.mark.parametrize("number", range(len(CUBE)))
def test_descriptors_turn_with_the_image(number):
    image = smooth_image()
    turned = descriptors(turn_image(image, number))
    assert np.abs(turned.values - descriptors(image).turned(number).values).max() < 1e-6


def test_isotropic_descriptors_are_the_same_in_all_symmetries():
    found = descriptors(smooth_image())
    for number in range(len(CUBE)):
        assert np.array_equal(found.turned(number).group("isotropic"), found.group("isotropic"))
    changed = found.turned(10).group("directional") - found.group("directional")
    assert np.abs(changed).max() > 0.01


def test_descriptors_do_not_see_where_the_image_starts():
    image = smooth_image()
    shifted = descriptors(np.roll(image, (3, 5, 7), (0, 1, 2)))
    assert np.abs(shifted.values - descriptors(image).values).max() < 1e-6


def test_exchanged_phases_exchange_their_descriptors():
    image = smooth_image()
    found = descriptors(image)
    assert np.abs(descriptors(1 - image).values - found.swapped().values).max() < 1e-12
    assert found["fraction.0"] == pytest.approx(0.6, abs=0.01)


def test_laminate_has_its_closed_forms():
    found = descriptors(laminate())
    assert (found["fraction.0"], found["fraction.1"]) == (0.75, 0.25)
    assert found["crossings.x"] == pytest.approx(2.0)
    assert found["crossings.y"] == found["crossings.y-z"] == 0.0
    assert found["crossings.x+y"] == pytest.approx(np.sqrt(2.0))  # per length
    # Crofton's sum over 13 lines is exact on average over orientations only
    x = np.abs(LINES[:, 0]) / np.linalg.norm(LINES, axis=1)
    assert found["surface"] == pytest.approx(2.0 * (CROFTON @ x) * 2.0)
    assert found["surface"] == pytest.approx(2.0, rel=0.08)
    assert found["euler.0"] == found["euler.1"] == 0.0
    assert found["breadth.1"] == 0.0  # a slab on the torus has no edges
    assert [found[f"percolation.1.{axis}"] for axis in "xyz"] == [0.0, 1.0, 1.0]
    assert found["components.1"] == found["largest.1"] == 1.0
    assert found["interface.1111"] == pytest.approx(1.0)
    assert found["spectrum.all.1111"] == pytest.approx(1.0)
    assert found["spectrum.all.2222"] == pytest.approx(0.0, abs=1e-12)
    assert found["contact.q100.1"] == pytest.approx((2.0 - 0.5) / 16.0)
    assert found["contact.mean.0"] == pytest.approx((3.5 - 0.5) / 16.0)
    assert found["thickness.q50.1"] == pytest.approx((2.0 - 0.5) / 16.0)
    # across the layers the harmonic mean, along them the arithmetic: the two bounds
    for phase in (0, 1):
        assert found[f"conduction.{phase}.11"] == pytest.approx(1.0, abs=1e-5)
        assert found[f"conduction.{phase}.22"] == pytest.approx(0.0, abs=1e-5)


def test_lineal_path_of_a_laminate_falls_linearly():
    found = descriptors(laminate())
    for r, value in ((1.0 / 12.0, 0.25 - 1.0 / 12.0), (1.0 / 6.0, 0.25 - 1.0 / 6.0), (1.0, 0.0)):
        name = {1.0 / 12.0: "1/12", 1.0 / 6.0: "1/6", 1.0: "1"}[r]
        assert found[f"lineal.{name}.1.x"] == pytest.approx(value)
        assert found[f"lineal.{name}.1.y"] == pytest.approx(0.25)


def test_covariance_of_a_laminate_is_a_triangle():
    found = descriptors(laminate())
    f = 0.25
    for name, r in (("1/24", 1 / 24), ("1/8", 1 / 8), ("1/4", 1 / 4), ("1/2", 1 / 2)):
        expected = (max(f - r, 0.0) - f**2) / (f * (1.0 - f))
        assert found[f"covariance.{name}.x"] == pytest.approx(expected)
        assert found[f"covariance.{name}.x-z"] == pytest.approx(expected)
        assert found[f"covariance.{name}.y"] == pytest.approx(1.0)


def test_cube_has_its_minkowski_functionals():
    image = np.zeros((16, 16, 16), dtype=np.uint8)
    image[2:8, 3:9, 4:10] = 1
    found = descriptors(image)
    assert found["euler.1"] == 1.0
    assert found["euler.0"] == 1.0  # the complement of a ball in the torus, closed
    assert found["breadth.1"] == pytest.approx(1.5 * 6 / 16)
    image[10:14, 10:14, 10:14] = 1
    assert descriptors(image)["euler.1"] == descriptors(image)["components.1"] == 2.0
    assert descriptors(image)["largest.1"] == pytest.approx(216 / 280)


def test_sphere_has_its_surface_and_isotropic_normals():
    radius = 0.35
    found = descriptors(sphere(radius=radius))
    assert found["fraction.1"] == pytest.approx(4.0 / 3.0 * np.pi * radius**3, rel=0.01)
    assert found["surface"] == pytest.approx(4.0 * np.pi * radius**2, rel=0.03)
    assert found["contact.q100.1"] == pytest.approx(radius, abs=1.5 / 32.0)  # no central voxel
    assert found["thickness.q50.1"] == pytest.approx(radius, abs=1.5 / 32.0)
    assert found["interface.1111"] == pytest.approx(1.0 / 5.0, rel=0.05)
    assert found["interface.1122"] == pytest.approx(1.0 / 15.0, rel=0.05)
    assert found["anisotropy.interface"] < 0.05 < descriptors(laminate())["anisotropy.interface"]
    assert found["conduction.1.11"] == pytest.approx(found["conduction.1.33"], rel=1e-4)


def test_checkerboard_has_its_closed_forms():
    i = np.arange(8)
    image = ((i[:, None, None] + i[:, None] + i) % 2).astype(np.uint8)
    found = descriptors(image)
    assert found["crossings.x"] == 8.0
    assert found["crossings.x+y"] == 0.0
    assert found["crossings.x+y+z"] == pytest.approx(8.0 / np.sqrt(3.0))
    assert found["covariance.1/8.x"] == pytest.approx(-1.0)
    assert found["covariance.1/8.x+y"] == pytest.approx(1.0)
    assert found["spectrum.all.1122"] == pytest.approx(1.0 / 9.0)  # one wave along 111, signless
    assert found["spectrum.all.1112"] == pytest.approx(0.0, abs=1e-12)
    assert found["components.0"] == 256.0
    assert found["percolation.mean.1"] == 0.0


def test_fourth_order_tensors_have_unit_trace():
    found = descriptors(smooth_image())
    for name in ("interface", "spectrum.all"):
        values = np.array([found[f"{name}." + "".join(str(i + 1) for i in t)] for t in TENSOR4])
        weight = np.array([1.0 if len(set(t)) == 1 else 2.0 for t in TENSOR4])
        paired = np.array([all(t.count(a) % 2 == 0 for a in range(3)) for t in TENSOR4])
        assert (weight * values)[paired].sum() == pytest.approx(1.0)
    shares = [found[f"power.{band}"] for band in ("long", "middle", "short")]
    assert sum(shares) == pytest.approx(1.0)


def test_distance_from_isotropy_is_the_frobenius_norm():
    rng = np.random.default_rng(3)
    n = rng.normal(size=(5, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    full = np.einsum("ai,aj,ak,al->ijkl", n, n, n, n) / len(n)
    eye = np.eye(3)
    pairs = np.einsum("ij,kl->ijkl", eye, eye)
    isotropic = (pairs + pairs.swapaxes(1, 2) + pairs.swapaxes(1, 3)) / 15.0
    components = np.array([full[t] for t in TENSOR4])
    assert harmonic_norm(components) == pytest.approx(np.linalg.norm(full - isotropic))


def test_contact_distance_is_that_of_the_tiled_image():
    image = smooth_image(1)
    tiled = np.tile(image, (3, 3, 3))
    inner = (slice(N, 2 * N),) * 3
    expected = ndimage.distance_transform_edt(tiled) + ndimage.distance_transform_edt(1 - tiled)
    assert np.abs(contact_distance(image) - expected[inner]).max() < 1e-12


def test_local_thickness_is_that_of_all_balls():
    image = smooth_image(2, n=8)
    distance = contact_distance(image)
    lag = np.minimum(np.arange(8), 8 - np.arange(8))
    square = lag[:, None, None] ** 2 + lag[:, None] ** 2 + lag**2
    expected = distance.copy()
    for centre in np.ndindex(8, 8, 8):
        inside = np.roll(square, centre, (0, 1, 2)) < distance[centre] ** 2 - 1e-9
        expected[inside] = np.maximum(expected[inside], distance[centre])
    assert np.array_equal(local_thickness(distance, image), expected)


def test_conduction_converges_to_the_minimum_of_the_energy_from_above():
    image = smooth_image(4)
    local = np.where(image == 1, 1.0, LEAK)
    exact = effective_conductivity(local, 200)
    soon = effective_conductivity(local)
    assert np.linalg.eigvalsh(exact - effective_conductivity(local, 400)).max() < 1e-12
    assert np.abs(exact - exact.T).max() < 1e-14
    assert (soon.diagonal() >= exact.diagonal()).all()
    assert np.abs(soon - exact).max() < 0.01 * exact.diagonal().max()


def test_wrong_images_are_named():
    with pytest.raises(ShapeError, match=r"image has shape \(8, 8\), expected \(n, n, n\)"):
        descriptors(np.zeros((8, 8)))
    with pytest.raises(ParameterError, match="image has 4 voxels per axis, expected 8 or more"):
        descriptors(np.zeros((4, 4, 4)))
    with pytest.raises(ParameterError, match="image holds other values than 0 and 1"):
        descriptors(np.full((8, 8, 8), 2))
    with pytest.raises(ParameterError, match="image holds phase 0 alone, expected both"):
        descriptors(np.zeros((8, 8, 8)))
    with pytest.raises(ParameterError, match="descriptor 'porosity' is unknown"):
        descriptors(laminate())["porosity"]
    with pytest.raises(ParameterError, match="groups are texture, expected some of isotropic"):
        selection(("texture",))
    with pytest.raises(ParameterError, match="symmetry 48 is unknown, expected 0 to 47"):
        Descriptors(np.zeros(len(names()))) and turn_image(laminate(), 48)


def test_blocks_hold_each_number_once():
    assert sum(int(np.prod(block.shape)) for block in BLOCKS) == len(names())
