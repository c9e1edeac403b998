"""Full-field simulation of periodic cells with nonlinear laws: what networks are judged by."""

from offline.reference.cell import Memory, memory_estimate
from offline.reference.fields import CellFields
from offline.reference.options import ReferenceOptions
from offline.reference.simulate import ReferenceResult, StepReport, simulate

__all__ = [
    "CellFields",
    "Memory",
    "ReferenceOptions",
    "ReferenceResult",
    "StepReport",
    "memory_estimate",
    "simulate",
]
