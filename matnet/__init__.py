"""matnet: from a voxel image of a microstructure to a constitutive law for finite elements.

>>> import matnet
>>> steel = matnet.Material.homogeneous(matnet.phases.Elastic(E=210e3, nu=0.3))  # MPa
>>> response = matnet.drive(steel, matnet.paths.uniaxial_stress("11", 1e-3, steps=4))
>>> round(float(response.stress[-1, 0]), 6)
210.0
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matnet import elasticity, paths, phases
    from matnet.checks import check_material
    from matnet.files import read_network as load
    from matnet.local_fields import LocalFields
    from matnet.material import Material, load_material
    from matnet.mixed import MixedMaterial
    from matnet.network import Network
    from matnet.online.options import SolverOptions
    from matnet.online.solution import Status
    from matnet.point import Response, drive

__version__ = "0.1.0"

__all__ = [
    "LocalFields",
    "Material",
    "MixedMaterial",
    "Network",
    "Response",
    "SolverOptions",
    "Status",
    "__version__",
    "check_material",
    "drive",
    "elasticity",
    "load",
    "load_material",
    "paths",
    "phases",
]

# name -> (module, name in it; empty for the module itself). Loaded at first use, because numba
# takes a second to import and `matnet --help` does not need it.
_PUBLIC = {
    "LocalFields": ("matnet.local_fields", "LocalFields"),
    "Material": ("matnet.material", "Material"),
    "MixedMaterial": ("matnet.mixed", "MixedMaterial"),
    "Network": ("matnet.network", "Network"),
    "Response": ("matnet.point", "Response"),
    "SolverOptions": ("matnet.online.options", "SolverOptions"),
    "Status": ("matnet.online.solution", "Status"),
    "check_material": ("matnet.checks", "check_material"),
    "drive": ("matnet.point", "drive"),
    "elasticity": ("matnet.elasticity", ""),
    "load": ("matnet.files", "read_network"),
    "load_material": ("matnet.material", "load_material"),
    "paths": ("matnet.paths", ""),
    "phases": ("matnet.phases", ""),
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'matnet' has no attribute '{name}'")
    module_name, attribute = _PUBLIC[name]
    module = importlib.import_module(module_name)
    value = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
