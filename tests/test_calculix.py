"""Finding CalculiX; the two ways to a UMAT in the build of requirements/calculix.sh."""

import shutil
import subprocess

import numpy as np
import pytest

from .calculix import (
    MISSING_EXTERNAL,
    dat_tables,
    find_ccx,
    find_ccx_build,
    run_ccx,
)

LAME = (1200.0, 700.0)  # no moduli in the deck: the example law that CalculiX brings fails on it
UMAT = r"""
#include <string.h>
void umat_(double *stress, double *statev, double *ddsdde, double *sse, double *spd, double *scd,
           double *rpl, double *ddsddt, double *drplde, double *drpldt, const double *stran,
           const double *dstran)
{
    (void)statev; (void)sse; (void)spd; (void)scd; (void)rpl; (void)ddsddt; (void)drplde;
    (void)drpldt;
    const double volume = stran[0] + stran[1] + stran[2] + dstran[0] + dstran[1] + dstran[2];
    memset(ddsdde, 0, 36 * sizeof(double));
    for (int i = 0; i < 6; i++) {
        const double shear = i < 3 ? 2.0 * 700.0 : 700.0;
        stress[i] = shear * (stran[i] + dstran[i]) + (i < 3 ? 1200.0 * volume : 0.0);
        ddsdde[7 * i] = shear;
        for (int j = 0; i < 3 && j < 3; j++) ddsdde[6 * i + j] += 1200.0;
    }
}
"""
STRAIN = np.array([2e-3, -1e-3, 5e-4, 3e-4, -4e-4, 6e-4])  # tensor: 11 22 33 12 13 23


def deck(name):
    """One unit cube under the uniform strain STRAIN, its nodes all prescribed."""
    corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
    corners += [(x, y, 1) for x, y, _ in corners]
    xx, yy, zz, xy, xz, yz = STRAIN
    moved = np.array(corners) @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    lines = ["*NODE"]
    lines += [f"{n + 1},{x},{y},{z}" for n, (x, y, z) in enumerate(corners)]
    lines += ["*ELEMENT,TYPE=C3D8,ELSET=CUBE", "1,1,2,3,4,5,6,7,8", f"*MATERIAL,NAME={name}"]
    lines += ["*USER MATERIAL,CONSTANTS=1", "0.", f"*SOLID SECTION,ELSET=CUBE,MATERIAL={name}"]
    lines += ["*STEP", "*STATIC,DIRECT", "1.,1.", "*BOUNDARY"]
    lines += [
        f"{n + 1},{k + 1},{k + 1},{u:.12e}"
        for n, row in enumerate(moved)
        for k, u in enumerate(row)
    ]
    return "\n".join([*lines, "*EL PRINT,ELSET=CUBE", "S", "*END STEP", ""])


def stresses(program, folder, name, **environment):
    path = folder / "cube.inp"
    path.write_text(deck(name))
    run_ccx(program, path, **environment)
    (table,) = next(iter(dat_tables(path.with_suffix(".dat")).values()))
    return table[:, 2:]


def expected():
    lmbda, mu = LAME
    return 2.0 * mu * STRAIN + lmbda * STRAIN[:3].sum() * np.array([1, 1, 1, 0, 0, 0])


@pytest.fixture
def folder(tmp_path):
    if find_ccx_build() is None or shutil.which("gcc") is None:
        pytest.skip(MISSING_EXTERNAL)
    (tmp_path / "umat.c").write_text(UMAT)
    return tmp_path


def test_umat_in_a_library_is_loaded(folder):
    command = ["gcc", "-O2", "-shared", "-fPIC", "-o", "libLAME.so", "umat.c"]
    subprocess.run(command, cwd=folder, check=True)
    program = find_ccx_build() / "ccx"
    found = stresses(program, folder, "@ABAQUS_LAME", LD_LIBRARY_PATH=str(folder))
    np.testing.assert_allclose(found, np.tile(expected(), (8, 1)), atol=1e-6)


def test_umat_is_linked(folder):
    subprocess.run(["gcc", "-O2", "-c", "umat.c"], cwd=folder, check=True)
    relink = find_ccx_build() / "relink"
    subprocess.run(["sh", str(relink), "./ccx_lame", "umat.o"], cwd=folder, check=True)
    found = stresses(folder / "ccx_lame", folder, "ABAQUSLAME")
    np.testing.assert_allclose(found, np.tile(expected(), (8, 1)), atol=1e-6)


def test_program_can_be_named(monkeypatch, tmp_path):
    program = tmp_path / "ccx"
    program.write_text("")
    monkeypatch.setenv("MATNET_CCX", str(program))
    with pytest.raises(FileNotFoundError, match=r"MATNET_CCX is '.*', expected a program to exec"):
        find_ccx()
    program.chmod(0o755)
    assert find_ccx() == program


def test_program_on_the_path_is_taken_unless_it_must_load_materials(monkeypatch, tmp_path):
    program = tmp_path / "ccx"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.delenv("MATNET_CCX", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # nothing built there
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_ccx() == program
    assert find_ccx(external=True) is None


def test_tables_are_read_step_by_step(tmp_path):
    path = tmp_path / "job.dat"
    path.write_text(
        "\n displacements (vx,vy,vz) for set A and time  0.1E+01\n\n  5  1.0E+00 -2.0E+00 0.\n"
        "\n equivalent plastic strain (elem, integ.pnt.,pe)for set B and time 0.1E+01\n\n 1 1 0.5\n"
        "\n displacements (vx,vy,vz) for set A and time  0.2E+01\n\n  5  3.0E+00 -4.0E+00 0.\n"
    )
    tables = dat_tables(path)
    first, second = tables["displacements (vx,vy,vz)"]
    assert first.tolist() == [[5, 1, -2, 0]]
    assert second.tolist() == [[5, 3, -4, 0]]
    assert tables["equivalent plastic strain (elem, integ.pnt.,pe)"][0].tolist() == [[1, 1, 0.5]]
