"""E_z of the lattices of PH-Net's figures 9-11 against the paper's simulated column.

`benchmarks/phnet_experiments.py` solves all samples on finer grids. At 32^3 voxels ratios of two
samples are within 2 % of those at 96^3; the paper's network adds some tenths of a percent.
"""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from matnet.elasticity import isotropic, youngs_modulus
from offline.homogenization import SolverOptions, homogenize
from offline.rve import Rve
from offline.rve.generators import make

TESTS = Path(__file__).resolve().parents[1]
REFERENCE = json.loads((TESTS / "reference/phnet_experiments.json").read_text(encoding="utf-8"))
GROUPS = {group["name"]: group for group in REFERENCE["groups"]}
RESULTS = json.loads((TESTS.parent / "benchmarks/results/phnet_experiments.json").read_text())
OPTIONS = SolverOptions(tol=1e-5, threads=1)


def cell_of(sample: int) -> np.ndarray:
    """Lattice vectors of sample 1 to 7: the z edge, of given length, leans towards y."""
    angle = np.radians(REFERENCE["samples"]["angle_yz"][sample - 1])
    length = REFERENCE["samples"]["length_z"][sample - 1]
    edge = [0.0, length * np.cos(angle), length * np.sin(angle)]
    return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], edge])


@cache
def voxels(group: str, n: int, **changes: float) -> Rve:
    recipe = GROUPS[group]["cell"]
    return make(recipe["generator"], n=n, **(recipe["parameters"] | changes))


def modulus(rve: Rve, cell: np.ndarray, nu: float = 0.25, direction: int = 2) -> float:
    """Young's modulus along an axis over the one of the solid."""
    solid = isotropic(E=1.0, nu=nu)
    C = homogenize(replace(rve, cell=cell), [0.0 * solid, solid], OPTIONS).stiffness
    return float(youngs_modulus(C, np.eye(3)[direction]))


def simulated(group: str, sample: int) -> float:
    return float(GROUPS[group]["simulated"][sample - 1])


def misprinted(group: str, column: str) -> set[int]:
    return {m["sample"] for m in GROUPS[group]["misprints"] if m["column"] == column}


@pytest.mark.parametrize("name", GROUPS)
def test_printed_errors_follow_from_the_printed_moduli(name: str) -> None:
    """They divide by one or the other modulus, and their signs are not consistent."""
    group = GROUPS[name]
    wrong = misprinted(name, "simulated") | misprinted(name, "printed_error_percent")
    columns = zip(
        group["measured"], group["simulated"], group["printed_error_percent"], strict=True
    )
    for sample, (e, s, printed) in enumerate(columns, start=1):
        gap = min(abs(100 * abs(e - s) / by - abs(printed)) for by in (e, s))
        assert (gap > 1.0) if sample in wrong else (gap < 0.15), sample


@pytest.mark.parametrize(("first", "sample"), [(1, 4), (3, 4)])
def test_stretched_tubular_gyroid_follows_the_paper(first: int, sample: int) -> None:
    """Ratios of samples need no base modulus."""
    rve = voxels("tg-24", 32)
    ours = modulus(rve, cell_of(first)) / modulus(rve, cell_of(sample))
    assert ours == pytest.approx(simulated("tg-24", first) / simulated("tg-24", sample), rel=0.015)


@pytest.mark.parametrize("name", ["octet-24", "kelvin-24", "tg-24"])
def test_most_sheared_cell_is_within_five_percent(name: str) -> None:
    rve = voxels(name, 32)
    ours = modulus(rve, cell_of(7)) / modulus(rve, cell_of(4))
    assert ours == pytest.approx(simulated(name, 7) / simulated(name, 4), rel=0.05)


def test_octet_at_thirty_percent_has_a_modulus_of_the_stated_range() -> None:
    rve = voxels("octet-24", 32, volume_fraction=0.3)
    implied = [simulated("octet-24", s) / modulus(rve, cell_of(s)) for s in (1, 3, 4, 7)]
    low, high = GROUPS["octet-24"]["base_modulus"]
    assert max(implied) / min(implied) < 1.015
    assert 0.98 * low < min(implied) < high


@pytest.mark.parametrize(("name", "sample"), [("tpu", 4), ("metal", 1), ("metal", 7)])
def test_schwarz_p_sheet_with_the_stated_modulus_is_within_five_percent(
    name: str, sample: int
) -> None:
    """Figure 9 with an inferred structure; 42 GPa is the text's value for the metal."""
    group = GROUPS[name]
    ours = group["base_modulus"][0] * modulus(voxels(name, 48), cell_of(sample), group["nu"])
    assert ours == pytest.approx(simulated(name, sample), rel=0.05)


def test_resin_and_metal_of_figure_9_are_one_cell_with_another_modulus() -> None:
    """So 750 MPa and 42 GPa, in a proportion of 0.0179, cannot both belong to the columns."""
    ratio = np.array(GROUPS["resin"]["simulated"]) / np.array(GROUPS["metal"]["simulated"])
    np.testing.assert_allclose(ratio, 0.025, rtol=2e-3)


def test_modulus_turns_with_the_cell() -> None:
    rve = voxels("octet-24", 16)
    along_z = modulus(rve, np.diag([1.0, 1.0, 2.0]), direction=2)
    along_x = modulus(rve, np.diag([2.0, 1.0, 1.0]), direction=0)
    assert along_x == pytest.approx(along_z, rel=1e-4)


@pytest.mark.parametrize(("name", "sample"), [("tg-24", 4), ("octet-24", 7)])
def test_stored_results_are_those_of_the_solver(name: str, sample: int) -> None:
    row = next(r for r in RESULTS["rows"] if (r["group"], r["n"], r["shear"]) == (name, 48, "edge"))
    ours = modulus(voxels(name, 48), cell_of(sample))
    assert row["E_z"][sample - 1] == pytest.approx(ours, rel=1e-4)


@pytest.mark.parametrize("name", GROUPS)
def test_stored_results_are_within_five_percent_at_one_modulus_per_group(name: str) -> None:
    kept = [s for s in range(1, 8) if s not in misprinted(name, "simulated")]
    for row in RESULTS["rows"]:
        if row["group"] == name and row["shear"] == "edge":
            implied = [simulated(name, s) / row["E_z"][s - 1] for s in kept]
            spread = max(implied) / min(implied)
            assert (spread - 1.0) / (spread + 1.0) < 0.05, row["n"]
