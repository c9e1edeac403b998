"""Laws, networks and strain paths on which C and numba are compared."""

import numpy as np

from matnet import Network
from matnet.phases import (
    J2,
    ArmstrongFrederick,
    Damage,
    DruckerPrager,
    DuctileDamage,
    Elastic,
    JohnsonCook,
    LemaitreDamage,
    Linear,
    LinearVoce,
    Norton,
    Perzyna,
    PowerLaw,
    Prager,
    Swift,
    Tabulated,
    ThermalExpansion,
    Viscoelastic,
    Viscoplastic,
    Voce,
)

VOCE = LinearVoce(sig_y=250.0, H=1e3, Q=80.0, b=15.0)
TABLE = Tabulated(p=(0.0, 2e-3, 0.1), sig_y=(200.0, 250.0, 400.0))
E, NU = 200e3, 0.3
LAWS = {
    "elastic, heated": ThermalExpansion(Elastic(E=E, nu=NU), 1.2e-5, 293.15),
    "J2, linear": J2(E=E, nu=NU, hardening=Linear(sig_y=250.0, H=1e3)),
    "J2, Voce": J2(E=E, nu=NU, hardening=Voce(sig_y=250.0, Q=80.0, b=15.0)),
    "J2, linear Voce": J2(E=E, nu=NU, hardening=VOCE),
    "J2, Swift": J2(E=E, nu=NU, hardening=Swift(e0=1e-3, n=0.2, sig_y=200.0)),
    "J2, power law": J2(E=E, nu=NU, hardening=PowerLaw(sig_y=200.0, K=300.0, n=0.5)),
    "J2, table": J2(E=E, nu=NU, hardening=TABLE),
    "J2, Prager": J2(E=E, nu=NU, hardening=VOCE, backstresses=(Prager(C=1e4),)),
    "J2, Chaboche": J2(
        E=E,
        nu=NU,
        hardening=VOCE,
        backstresses=(ArmstrongFrederick(C=3e4, gamma=200.0), Prager(C=1e3)),
    ),
    "J2, expanding": ThermalExpansion(J2(E=E, nu=NU, hardening=VOCE), (1e-5, 2e-5, 3e-5), 293.15),
    "Perzyna": Viscoplastic(E=E, nu=NU, rate=Perzyna(eta=100.0, n=3.0), hardening=VOCE),
    "Norton": Viscoplastic(E=E, nu=NU, rate=Norton(A=1e-14, n=5.0)),
    "Johnson-Cook": Viscoplastic(E=E, nu=NU, rate=JohnsonCook(C=0.02), hardening=VOCE),
    "viscoelastic": Viscoelastic(E=E, nu=NU, g=(0.2, 0.3), tau=(0.1, 10.0)),
    "damage": Damage(E=E, nu=NU, kappa_0=1e-3, kappa_f=1e-2, tau=0.5),
    "damage, von Mises": Damage(
        E=E, nu=NU, kappa_0=1e-3, kappa_f=1e-2, measure="von-mises", tau=0.5
    ),
    "ductile damage": DuctileDamage(
        E=E, nu=NU, hardening=VOCE, damage=LemaitreDamage(S=2.0), tau=0.2
    ),
    "Drucker-Prager": DruckerPrager(E=E, nu=NU, cohesion=150.0, friction=20.0, dilatancy=10.0),
}
NETWORKS = ("DMN", "IMN", "porous")
FIBRE = Elastic(
    E1=600e3, E2=300e3, E3=250e3, nu12=0.25, nu13=0.2, nu23=0.3, G12=150e3, G13=120e3, G23=100e3
)


def make_material(network, law, depth=3, seed=3):
    """The law with orthotropic fibres in a random DMN or IMN, or with voids."""
    if network == "porous":
        tree = Network.random("imn", depth, ("solid", "void"), (0.7, 0.3), seed)
        return tree.with_phases(solid=law)
    tree = Network.random(network.lower(), depth, ("solid", "fibre"), (0.6, 0.4), seed)
    return tree.with_phases(solid=law, fibre=FIBRE)


def increments(n_points, n_steps, size=1e-3, seed=0):
    """Strains (n_steps, n_points, 6) of random walks with steps of the given length."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n_steps, n_points, 6))
    return np.cumsum(size * steps / np.linalg.norm(steps, axis=2)[..., None], axis=0)
