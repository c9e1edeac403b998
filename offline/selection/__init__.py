"""Choosing among fitted networks by how well they follow a cell with inelastic phases."""

from offline.selection.coarse import coarse_cell
from offline.selection.judge import Judge, judge_paths, judged_by_cell
from offline.selection.laws import generic_laws
from offline.selection.options import MODES, SelectionOptions

__all__ = [
    "MODES",
    "Judge",
    "SelectionOptions",
    "coarse_cell",
    "generic_laws",
    "judge_paths",
    "judged_by_cell",
]
