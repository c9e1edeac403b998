"""How good a trained surrogate is on cells that it has never seen, whatever its architecture."""

from offline.surrogates.evaluation.evaluate import Evaluation, EvaluationOptions, evaluate
from offline.surrogates.evaluation.predictor import Predictor, load_predictor
from offline.surrogates.evaluation.report import write_report

__all__ = [
    "Evaluation",
    "EvaluationOptions",
    "Predictor",
    "evaluate",
    "load_predictor",
    "write_report",
]
