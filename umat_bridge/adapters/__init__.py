"""Materials from networks in the conventions of other packages around dolfinx.

`external_operator` is for dolfinx-external-operator, `quadrature_map` for dolfinx_materials.
Neither needs its package, nor dolfinx, to be imported; `umat_bridge.dolfinx` is matnet's own way
into dolfinx. See docs/adapters.md.
"""

from __future__ import annotations

from umat_bridge.adapters.external_operator import ExternalOperatorLaw
from umat_bridge.adapters.quadrature_map import QuadratureMapLaw

__all__ = ["ExternalOperatorLaw", "QuadratureMapLaw"]
