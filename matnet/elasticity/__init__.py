"""Elasticity: stiffness constructors, engineering constants, bounds, estimates and the laminate."""

from matnet.elasticity.anisotropy import (
    isotropic_constants,
    isotropic_projection,
    linear_compressibility,
    orthotropic_constants,
    shear_modulus,
    universal_anisotropy,
    youngs_modulus,
    zener,
)
from matnet.elasticity.estimates import (
    HashinShtrikman,
    hashin_shtrikman,
    hill,
    laminate,
    loewner_leq,
    mori_tanaka,
    reuss,
    voigt,
)
from matnet.elasticity.stiffness import (
    check_stiffness,
    cubic,
    isotropic,
    orthotropic,
    transversely_isotropic,
)

__all__ = [
    "HashinShtrikman",
    "check_stiffness",
    "cubic",
    "hashin_shtrikman",
    "hill",
    "isotropic",
    "isotropic_constants",
    "isotropic_projection",
    "laminate",
    "linear_compressibility",
    "loewner_leq",
    "mori_tanaka",
    "orthotropic",
    "orthotropic_constants",
    "reuss",
    "shear_modulus",
    "transversely_isotropic",
    "universal_anisotropy",
    "voigt",
    "youngs_modulus",
    "zener",
]
