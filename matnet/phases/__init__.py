"""Laws of the base materials, one file per law, and the TOML file that names them.

`LAWS` maps the word after ``law =`` in a phases file to the class. A law is an immutable value with

* ``law``: that word,
* ``stiffness``: its initial elastic stiffness (6, 6), Mandel [stress unit], zeros for a void,
* ``from_table`` and ``to_table``: from and to the keys of its TOML table.
"""

from matnet.phases.backstress import ArmstrongFrederick, Prager
from matnet.phases.base import PhaseLaw, PhaseUpdate
from matnet.phases.crystal import CrystalPlasticity
from matnet.phases.damage import Damage
from matnet.phases.drucker_prager import DruckerPrager
from matnet.phases.ductile_damage import DuctileDamage, ExponentialDamage, LemaitreDamage
from matnet.phases.elastic import Elastic
from matnet.phases.hardening import Linear, LinearVoce, PowerLaw, Swift, Tabulated, Voce
from matnet.phases.j2 import J2
from matnet.phases.rates import JohnsonCook, Norton, Perzyna
from matnet.phases.thermal import ThermalExpansion
from matnet.phases.toml import LAWS, read_phases, write_phases
from matnet.phases.user import UserLaw
from matnet.phases.viscoelastic import Viscoelastic
from matnet.phases.viscoplastic import Viscoplastic
from matnet.phases.void import Void

__all__ = [
    "J2",
    "LAWS",
    "ArmstrongFrederick",
    "CrystalPlasticity",
    "Damage",
    "DruckerPrager",
    "DuctileDamage",
    "Elastic",
    "ExponentialDamage",
    "JohnsonCook",
    "LemaitreDamage",
    "Linear",
    "LinearVoce",
    "Norton",
    "Perzyna",
    "PhaseLaw",
    "PhaseUpdate",
    "PowerLaw",
    "Prager",
    "Swift",
    "Tabulated",
    "ThermalExpansion",
    "UserLaw",
    "Viscoelastic",
    "Viscoplastic",
    "Voce",
    "Void",
    "read_phases",
    "write_phases",
]
