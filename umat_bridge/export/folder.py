"""An export written as a whole: everything, or nothing."""

from __future__ import annotations

import re
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path

import matnet
from matnet.errors import ParameterError
from matnet.law_blocks import kernel_name
from matnet.material import Material
from umat_bridge.c.sources import COMPILED, FLAGS, FOLDER, source_files
from umat_bridge.export.embedded import embedded_source
from umat_bridge.export.expected import expected_numbers, reference_temperature
from umat_bridge.export.targets import TARGETS, Exported, Target

__all__ = ["export_material"]

NAME = re.compile(r"[A-Z][A-Z0-9]{0,19}")
SOLVERS = "solvers"


def export_material(
    material: Material, folder: str | Path, to: str, *, name: str, force: bool = False
) -> list[Path]:
    """Write a folder with which a solver computes `material`.

    Parameters
    ----------
    material : Material
        Every phase needs a law that the C library has: all but crystal plasticity and users' laws.
    folder : str or Path
        To be written; its parent folder exists.
    to : str
        A key of `TARGETS`.
    name : str
        Name of the material in the solver: a capital letter, then up to 19 capitals or digits.
    force : bool
        Replace what `folder` holds.

    Returns
    -------
    list of Path
        What was written, relative to `folder`, sorted. Equal materials give equal bytes.

    Raises
    ------
    ParameterError
        The target is unknown, the name does not fit, a law has no C kernel, or the folder is in use
        or cannot be written.
    ConvergenceError
        The material finds no solution at a small strain.

    Examples
    --------
    >>> from matnet.phases import Elastic
    >>> steel = Material.homogeneous(Elastic(E=210e3, nu=0.3))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     written = export_material(steel, Path(place) / "out", "calculix", name="STEEL")
    >>> [path.as_posix() for path in written if path.suffix == ".inp"]
    ['one_element.inp', 'part.inp']
    """
    if to not in TARGETS:
        raise ParameterError(f"target '{to}' is unknown, expected one of {', '.join(TARGETS)}.")
    if not NAME.fullmatch(name):
        raise ParameterError(
            f"name '{name}' does not fit, expected a capital letter and up to 19 more capitals or "
            "digits, as all solvers take them."
        )
    _require_kernels(material)
    final = Path(folder)
    _require_free(final, force)
    try:
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{final.name}.") as beside:
            made = Path(beside) / "made"
            made.mkdir()
            _fill(made, material, TARGETS[to], name)
            written = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
            _put(made, final, Path(beside) / "replaced")
    except OSError as wrong:
        raise ParameterError(f"{final}: cannot be written ({wrong.strerror}).") from None
    return written


def _require_kernels(material: Material) -> None:
    for phase, law in material.phases.items():
        if kernel_name(law) is None:
            raise ParameterError(
                f"phase '{phase}' has the law '{law.law}', which exists in Python only. Exports "
                "need laws with a C kernel; docs/matnet-file.md lists them."
            )


def _require_free(folder: Path, force: bool) -> None:
    if not folder.parent.is_dir():
        raise ParameterError(f"{folder}: folder '{folder.parent}' does not exist. Create it first.")
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder}: is a file, expected a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise ParameterError(
            f"{folder}: is not empty. Choose another folder or pass --force to replace it."
        )


def _put(made: Path, final: Path, aside: Path) -> None:
    """Rename; what was there goes with the temporary folder."""
    if final.exists():
        final.rename(aside)
    made.rename(final)


def _fill(folder: Path, material: Material, target: Target, name: str) -> None:
    what = Exported(name, material, reference_temperature(material))
    material.save(folder / "material.matnet")
    data = (folder / "material.matnet").read_bytes()
    _write(folder / "material_data.c", embedded_source(name, data))
    _write(folder / "expected.h", expected_numbers(material).c_header())
    for path in source_files():
        if path.parts[0] != SOLVERS:
            _copy(path, folder)
    for source in target.sources:
        _copy(Path(SOLVERS) / source, folder)
    words = _words(what, target)
    for file, template in target.templates.items():
        text = (files("umat_bridge.export") / "templates" / template).read_text(encoding="utf-8")
        _write(folder / file, _filled(text, words))
    for file, text in target.decks(what).items():
        _write(folder / file, text)


def _copy(path: Path, folder: Path) -> None:
    copy = folder / "src" / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FOLDER / path, copy)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _words(what: Exported, target: Target) -> dict[str, str]:
    """What stands for the {{words}} of the templates."""
    own = [f"src/{SOLVERS}/{name}" for name in target.sources if name.endswith(".c")]
    material = what.material
    bulk, shear = what.moduli
    phases = "\n".join(
        f"| {phase} | {fraction:.4g} | {law.law} |"
        for (phase, law), fraction in zip(
            material.phases.items(), material.network.fractions, strict=True
        )
    )
    return {
        "name": what.name,
        "library": what.name.lower(),
        "version": matnet.__version__,
        "flags": " ".join(flag for flag in FLAGS if flag != "-std=c99"),
        "sources": " ".join([*(f"src/{name}" for name in COMPILED), *own, "material_data.c"]),
        "n_state": str(material.n_state),
        "depvar": str(max(1, material.n_state)),
        "history": str(what.history),
        "bulk": f"{bulk:.6g}",
        "shear": f"{shear:.6g}",
        "phases": phases,
        "temperature": _temperature_sentence(what.temperature),
        "rate": _rate_sentence(material),
        "tangent": "symmetric" if what.symmetric else "not symmetric",
        "symmetrised": "" if what.symmetric else "; CalculiX takes its symmetric part",
        "unsymmetric": "" if what.symmetric else ": `UNSYMM` stands on `*USER MATERIAL`",
        "unsymmetric_dyna": "" if what.symmetric else ": utan41 says so (`unsym`)",
        "temperature_c": _temperature_sentence(what.temperature, "the temperature of the call"),
    }


def _temperature_sentence(
    temperature: float | None, whose: str = "the temperature of the solver"
) -> str:
    if temperature is None:
        return f"No phase has thermal expansion: {whose} does not matter."
    return (
        f"Phases expand: {whose} counts, so give it from the start on. The thermal strain is "
        f"zero at {temperature:g}."
    )


def _rate_sentence(material: Material) -> str:
    if material.rate_dependent:
        return "The response depends on the rate: time has the unit of the laws' parameters."
    return "The response does not depend on the rate; time is a mere parameter."


def _filled(text: str, words: dict[str, str]) -> str:
    """A template with its {{words}} replaced; unknown ones are an error of ours."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: words[found[1]], text)
