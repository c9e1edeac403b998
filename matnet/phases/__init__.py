"""Laws of the base materials, one file per law, and the TOML file that names them.

`LAWS` maps the word after ``law =`` in a phases file to the class. A law is an immutable value with

* ``law``: that word,
* ``stiffness``: its initial elastic stiffness (6, 6), Mandel [stress unit], zeros for a void,
* ``from_table`` and ``to_table``: from and to the keys of its TOML table.
"""

from matnet.phases.base import PhaseLaw, PhaseUpdate
from matnet.phases.elastic import Elastic
from matnet.phases.thermal import ThermalExpansion
from matnet.phases.toml import LAWS, read_phases, write_phases
from matnet.phases.user import UserLaw
from matnet.phases.viscoelastic import Viscoelastic
from matnet.phases.void import Void

__all__ = [
    "LAWS",
    "Elastic",
    "PhaseLaw",
    "PhaseUpdate",
    "ThermalExpansion",
    "UserLaw",
    "Viscoelastic",
    "Void",
    "read_phases",
    "write_phases",
]
