"""Entry points called from Python the way the solvers call them."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from matnet.mandel import LS_DYNA, VUMAT
from umat_bridge.export import export_material

N_NAME = 80


def build(material, folder, target, name="STEEL", fortran=()):
    """Shared library with the entry points of an exported folder."""
    for tool in ("gcc", "gfortran") if fortran else ("gcc",):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is needed (on Debian: apt-get install {tool}).")
    export_material(material, folder, target, name=name)
    sources = [*(folder / "src").glob("*.c"), *(folder / "src" / "solvers").glob("*.c")]
    sources.append(folder / "material_data.c")
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command = ["gcc", "-std=c99", "-O2", "-fPIC", "-shared", *warnings, "-o", folder / "entries.so"]
    objects = []
    for path in fortran:
        objects.append(folder / f"{path}.o")
        flags = ["-O2", "-fPIC", "-fdefault-real-8", "-fdefault-double-8", "-Wall", "-Werror"]
        flags += ["-Wno-unused-dummy-argument", "-Wno-unused-variable", "-Wno-conversion"]
        source = folder / "src" / "solvers" / path
        subprocess.run(["gfortran", *flags, "-c", "-o", objects[-1], source], check=True)
    libraries = ["-lgfortran"] if objects else []
    subprocess.run([*command, *sources, *objects, *libraries, "-lm", "-lpthread"], check=True)
    return ctypes.CDLL(str(folder / "entries.so"))


def integer(value):
    return ctypes.byref(ctypes.c_int(value))


def real(value):
    return ctypes.byref(ctypes.c_double(value))


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def umat(
    library,
    stress,
    state,
    before,
    increment,
    *,
    ndi=3,
    nshr=3,
    dt=0.1,
    temperature=0.0,
    name="STEEL",
):
    """One call of Abaqus' UMAT; changes stress and state, returns tangent, energies, PNEWDT."""
    n = ndi + nshr
    tangent, pnewdt = np.full((n, n), np.nan, order="F"), ctypes.c_double(1.0)
    sse, spd = ctypes.c_double(np.nan), ctypes.c_double(np.nan)
    other, identity = np.zeros(9), np.eye(3)
    before, increment = np.array(before, dtype=float), np.array(increment, dtype=float)
    name = ctypes.c_char_p(name.encode().ljust(N_NAME))
    a, one = pointer(other), integer(1)
    library.umat_(
        *(pointer(stress), pointer(state), pointer(tangent), ctypes.byref(sse), ctypes.byref(spd)),
        *(real(0.0), real(0.0), pointer(np.zeros(6)), pointer(np.zeros(6)), real(0.0)),
        *(pointer(before), pointer(increment), a, real(dt), real(temperature - 3.0), real(3.0)),
        *(a, a, name, integer(ndi), integer(nshr), integer(n), integer(len(state)), a, one),
        *(a, pointer(identity), ctypes.byref(pnewdt), real(1.0), pointer(identity)),
        *(pointer(identity), one, one, one, one, pointer(np.ones(4, dtype=np.intc)), one),
        ctypes.c_size_t(N_NAME),
    )
    return tangent, (sse.value, spd.value), pnewdt.value


def vumat(library, old, increment, *, dt=0.1, density=2.0, temperature=0.0, time=0.1):
    """One call of Abaqus' VUMAT for strains (n, 6), Mandel.

    `old` and the result are tuples (stress (n, 6) Mandel, state (n, m), internal and inelastic
    energy per mass (n,)).
    """
    stress, state, intern, inelastic = old
    n, m = state.shape
    strain = np.asfortranarray(VUMAT.strain_from_mandel(increment))
    stress_old = np.asfortranarray(VUMAT.stress_from_mandel(stress))
    state_old = np.asfortranarray(state)
    new = [np.full((n, size), np.nan, order="F") for size in (6, m)]
    energies = [np.full(n, np.nan), np.full(n, np.nan)]
    other, heat = np.zeros((n, 9)), np.full(n, float(temperature))
    a, b, c = pointer(other), pointer(np.full(n, density)), pointer(heat)
    library.vumat_(
        *(integer(n), integer(3), integer(3), integer(m), integer(0), integer(1), integer(0)),
        *(real(time), real(time), real(dt), ctypes.c_char_p(b"STEEL".ljust(N_NAME)), a, a, a, b),
        *(pointer(strain), a, c, a, a, a, pointer(stress_old), pointer(state_old)),
        *(pointer(intern), pointer(inelastic), c, a, a, a, pointer(new[0]), pointer(new[1])),
        *(pointer(energies[0]), pointer(energies[1]), ctypes.c_size_t(N_NAME)),
    )
    return VUMAT.stress_to_mandel(new[0]), np.ascontiguousarray(new[1]), *energies


def umat41(
    library, stress, history, increment, constants, *, dt=0.1, temperature=0.0, etype=b"solid"
):
    """One call of umat41, changing stress (LS-DYNA's order) and history; then one of utan41.

    `increment` is a Mandel vector. Returns the tangent (Mandel), epsp, failel, reject, unsym.
    """
    strain = LS_DYNA.strain_from_mandel(increment)
    cm = np.zeros(48)
    cm[: len(constants)] = constants
    flags = [ctypes.c_int(0) for _ in range(3)]
    failel, reject, unsym = (ctypes.byref(flag) for flag in flags)
    epsp, other, tangent = ctypes.c_double(0.0), np.zeros(9), np.full((6, 6), np.nan, order="F")
    a, etype, length = pointer(other), ctypes.c_char_p(etype), ctypes.c_size_t(5)
    common = (pointer(cm), pointer(strain), pointer(stress), ctypes.byref(epsp), pointer(history))
    library.umat41_(
        *(*common, real(dt), real(1.0), etype, real(0.0), real(temperature), failel, a, integer(0)),
        *(a, a, real(1.0), integer(1), reject, length),
    )
    library.utan41_(
        *(*common, real(dt), unsym, real(1.0), etype, real(0.0), real(temperature)),
        *(pointer(tangent), a, integer(0), failel, a, a, length),
    )
    return LS_DYNA.stiffness_to_mandel(tangent), epsp.value, *(flag.value for flag in flags)
