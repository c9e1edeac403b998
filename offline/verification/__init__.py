"""How far a network's stresses are from full-field simulation, path by path."""

from offline.verification.compare import Curve, PathVerdict
from offline.verification.default_paths import default_paths, six_loadings
from offline.verification.references import ReferenceStore, Simulate
from offline.verification.refine import refined
from offline.verification.timing import Timing
from offline.verification.verdict import Verdict
from offline.verification.verify import Progress, verify

__all__ = [
    "Curve",
    "PathVerdict",
    "Progress",
    "ReferenceStore",
    "Simulate",
    "Timing",
    "Verdict",
    "default_paths",
    "refined",
    "six_loadings",
    "verify",
]
