"""Labels: phase stiffnesses with the effective stiffnesses they lead to."""

from offline.labels.compute import compute_labels
from offline.labels.label_set import LabelSet
from offline.labels.options import LabelOptions, LabelProgress
from offline.labels.sampling import SamplingOptions, sample_stiffnesses
from offline.labels.store import append_labels, read_labels, write_labels

__all__ = [
    "LabelOptions",
    "LabelProgress",
    "LabelSet",
    "SamplingOptions",
    "append_labels",
    "compute_labels",
    "read_labels",
    "sample_stiffnesses",
    "write_labels",
]
