"""Cells unlike those of a displacement surrogate's training are named by reason."""

from dataclasses import replace

import numpy as np
import pytest

from matnet.elasticity import isotropic
from offline.rve import Rve
from offline.surrogates.families import FAMILIES
from offline.surrogates.ranges import outside

SHEARED = np.array([[1.0, 0.0, 0.0], [0.1, 1.0, 0.0], [0.0, 0.0, 1.0]])
CARD = {"data": {"families": ["truss", "tpms"], "resolution": 8, "nu": None}}


def block(share, n=8):
    phases = np.zeros(n**3, np.uint8)
    phases[: round(share * n**3)] = 1
    return Rve(phases=phases.reshape(n, n, n), phase_names=("void", "solid"))


def stiffness(nu=0.3):
    solid = isotropic(E=1.0, nu=nu)
    return np.stack([0.0 * solid, solid])


def test_cells_of_the_training_are_inside():
    for name in ("truss", "tpms", "psl", "frame", "tubular-gyroid"):
        card = {"data": {"families": [name], "resolution": 16}}
        for seed in range(3):
            sample = FAMILIES[name].sample(seed, 16)
            assert outside(card, sample.rve, sample.stiffnesses) == []


@pytest.mark.parametrize(
    ("cell", "c", "reason"),
    [
        (block(0.7), stiffness(), "its solid fills 69.9 % (training: 8 to 60 %)"),
        (block(0.03), stiffness(), "its solid fills 2.93 % (training: 8 to 60 %)"),
        (block(0.3, 10), stiffness(), "it has 10 voxels per axis (training: 8)"),
        (replace(block(0.3), cell=SHEARED), stiffness(), "its cell is no cube (training: cubes)"),
        (block(0.3), stiffness(0.1), "its Poisson's ratio is 0.1 (training: 0.25 to 0.45)"),
        (
            block(0.3),
            np.stack([np.zeros((6, 6)), np.diag([3.0, 2.0, 1.0, 1.0, 1.0, 1.0])]),
            "its solid is not isotropic (training: isotropic)",
        ),
        (
            block(0.3),
            np.stack([1e-3 * isotropic(E=1.0, nu=0.3), isotropic(E=1.0, nu=0.3)]),
            "it has 2 solid phases (training: 1)",
        ),
    ],
)
def test_what_is_outside_is_named(cell, c, reason):
    assert reason in outside(CARD, cell, c)
    assert outside(CARD, block(0.3), stiffness()) == []


def test_one_poisson_ratio_of_the_training_is_that_alone():
    card = {"data": {"families": ["tpms"], "resolution": 8, "nu": 0.3}}
    assert outside(card, block(0.3), stiffness(0.3)) == []
    assert outside(card, block(0.3), stiffness(0.35)) == [
        "its Poisson's ratio is 0.35 (training: 0.3)"
    ]


def test_cards_that_do_not_tell_rule_nothing_out():
    cell = block(0.9, 12)
    assert outside({}, cell, stiffness(0.0)) == []
    assert outside({"data": {"families": ["of somebody else"]}}, cell, stiffness(0.0)) == []
