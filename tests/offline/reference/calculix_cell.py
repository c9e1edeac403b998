"""Periodic voxel cells as CalculiX decks: equations tie opposite faces, CalculiX' own materials.

Two nodes without elements carry the macroscopic strain as displacements, in Mandel components
(11 22 33 of the first, 12 13 23 of the second). For every node b whose image a lies one or more
cell edges away, three equations say ``u_b - u_a = E (x_b - x_a)``. Forces on these two nodes do the
work of the cell's volume times the macroscopic stress in Mandel components, whatever the shape of
the cell, so prescribed stresses are such forces. CalculiX prints no forces of equations; the
macroscopic stress is therefore the sum of the elements' nodal forces times positions (Hill).

Numbers keep within the 20 characters that CalculiX reads; it would cut an exponent off.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from ...calculix import dat_tables, run_ccx
from .plain_fem import macroscopic

# Half-voxel offsets in the order of C3D8 and C3D20: bottom, top, edges below, above, upright.
CORNERS = np.array(
    [[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0], [0, 0, 2], [2, 0, 2], [2, 2, 2], [0, 2, 2]]
)
EDGES = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4)]
EDGES += [(0, 4), (1, 5), (2, 6), (3, 7)]
MIDDLES = np.array([(CORNERS[a] + CORNERS[b]) // 2 for a, b in EDGES])
TIGHT = "1e-10,1e-10,,,1e-10,1e-5,1e-10,1e-12"  # *CONTROLS: residual and correction
PATIENT = "40,40,41,80,40,4,,5"  # iterations before a step counts as diverging


@dataclass(frozen=True)
class Solid:
    """Elastic, or with *PLASTIC and linear isotropic hardening."""

    E: float
    nu: float
    sig_y: float | None = None
    H: float = 0.0

    def lines(self, name):
        yield from (f"*MATERIAL,NAME={name}", "*ELASTIC", f"{self.E:.12e},{self.nu:.12e}")
        if self.sig_y is not None:
            yield from ("*PLASTIC", f"{self.sig_y:.12e},0.", f"{self.sig_y + self.H:.12e},1.")


class CalculixMesh:
    """Nodes and elements of the solid voxels; `laws` holds a `Solid` or None (void) per phase."""

    def __init__(self, phases, cell, laws, element):
        shape, cell = np.array(phases.shape), np.asarray(cell, dtype=float)
        offsets = np.vstack([CORNERS, MIDDLES]) if element.startswith("C3D20") else CORNERS
        voxels = [v for v in np.ndindex(*shape) if laws[phases[v]] is not None]
        places = 2 * np.array(voxels)[:, None] + offsets  # (elements, nodes of one, 3)
        grid = 2 * shape + 1
        used, index = np.unique(
            np.ravel_multi_index(tuple(places.reshape(-1, 3).T), grid), return_inverse=True
        )
        self.place = np.stack(np.unravel_index(used, grid), axis=1)
        self.x = (self.place / (2 * shape)) @ cell
        self.elements = index.reshape(len(voxels), len(offsets)) + 1
        self.voxels = np.array(voxels)
        self.phase = np.array([phases[v] for v in voxels])
        self.volume = abs(np.linalg.det(cell))
        self.element, self.laws = element, laws
        self.owner = self._owners(2 * shape)
        self.controls = (len(self.x) + 1, len(self.x) + 2)

    def _owners(self, period):
        """Of all images of a node that exist, the first one."""
        first = {}
        wrapped = map(tuple, self.place % period)
        return np.array([first.setdefault(key, node) for node, key in enumerate(wrapped)])

    def equations(self):
        for node, owner in enumerate(self.owner):
            if owner == node:
                continue
            rows = macroscopic((self.x[node] - self.x[owner])[None])  # (3, 6)
            for i, row in enumerate(rows):
                terms = [(node + 1, i + 1, 1.0), (owner + 1, i + 1, -1.0)]
                terms += [
                    (self.controls[k // 3], k % 3 + 1, -value)
                    for k, value in enumerate(row)
                    if value != 0.0
                ]
                yield from ("*EQUATION", f"{len(terms)}")
                yield from (f"{n},{d},{c:.13e}" for n, d, c in terms)

    def model(self):
        yield from ("*NODE", *(f"{n + 1},{x:.12e},{y:.12e},{z:.12e}" for n, (x, y, z) in self._x()))
        yield from (f"{n},0.,0.,0." for n in self.controls)
        yield from ("*NSET,NSET=MACRO", f"{self.controls[0]},{self.controls[1]}")
        yield from ("*NSET,NSET=CELL,GENERATE", f"1,{len(self.x)},1")
        for p, law in enumerate(self.laws):
            mine = np.flatnonzero(self.phase == p)
            if not mine.size:
                continue
            yield f"*ELEMENT,TYPE={self.element},ELSET=PHASE{p}"
            for e in mine:
                numbers = [str(n) for n in (e + 1, *self.elements[e])]
                yield ",".join(numbers[:11]) + ("," if len(numbers) > 11 else "")
                if len(numbers) > 11:
                    yield ",".join(numbers[11:])
            yield from law.lines(f"M{p}")
            yield f"*SOLID SECTION,ELSET=PHASE{p},MATERIAL=M{p}"
        yield from ("*ELSET,ELSET=SOLID,GENERATE", f"1,{len(self.elements)},1")

    def _x(self):
        return enumerate(self.x)

    def step(self, target, stress_controlled):
        held = "".join(f"1,{i},{i},0.\n" for i in (1, 2, 3)).splitlines()
        loads = []
        for k, (value, force) in enumerate(zip(target, stress_controlled, strict=True)):
            node, dof = self.controls[k // 3], k % 3 + 1
            if force:
                loads.append(f"{node},{dof},{value * self.volume:.12e}")
            else:
                held.append(f"{node},{dof},{dof},{value:.12e}")
        yield from ("*STEP,INC=1", "*STATIC,DIRECT", "1.,1.")
        yield from ("*CONTROLS,PARAMETERS=FIELD", TIGHT)
        yield from ("*CONTROLS,PARAMETERS=TIME INCREMENTATION", PATIENT, "")
        yield from ("*BOUNDARY", *held)
        if loads:
            yield from ("*CLOAD", *loads)
        yield from ("*NODE PRINT,NSET=MACRO", "U", "*NODE PRINT,NSET=CELL", "RF")
        yield from ("*EL PRINT,ELSET=SOLID", "PEEQ")
        yield "*END STEP"


@dataclass(frozen=True)
class CalculixResult:
    """Per step: macroscopic strain and stress (n, 6), Mandel; at the end: voxel means of p."""

    strain: np.ndarray
    stress: np.ndarray
    p: np.ndarray


def drive_calculix(program, folder, phases, cell, laws, targets, stress_controlled, element="C3D8"):
    """Strain or stress targets (n, 6), one increment each, with `program` in `folder`."""
    mesh = CalculixMesh(phases, cell, laws, element)
    steps = [mesh.step(target, stress_controlled) for target in targets]
    deck = folder / "cell.inp"
    deck.write_text("\n".join(itertools.chain(mesh.model(), mesh.equations(), *steps)) + "\n")
    run_ccx(program, deck)
    tables = dat_tables(deck.with_suffix(".dat"))
    strain = np.array(tables["displacements (vx,vy,vz)"])[:, :, 1:].reshape(-1, 6)
    force = np.array(tables["forces (fx,fy,fz)"])[:, :, 1:].reshape(-1, mesh.x.size)
    if not len(strain) == len(force) == len(targets):
        raise AssertionError(f"CalculiX wrote {len(force)} of {len(targets)} steps.")
    points = next(tables[name] for name in tables if name.startswith("equivalent plastic"))[-1]
    p = np.zeros(phases.shape)
    for voxel, number in zip(mesh.voxels, range(1, len(mesh.voxels) + 1), strict=True):
        p[tuple(voxel)] = points[points[:, 0] == number, 2].mean()
    return CalculixResult(strain, force @ macroscopic(mesh.x) / mesh.volume, p)
