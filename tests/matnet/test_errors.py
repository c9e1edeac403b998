"""The error tree and the checks that raise it."""

from types import SimpleNamespace

import numpy as np
import pytest

from matnet import errors
from matnet.errors import (
    ConvergenceError,
    FileFormatError,
    MatnetError,
    MissingExtraError,
    ParameterError,
    ShapeError,
    require_between,
    require_finite,
    require_non_negative,
    require_positive,
    require_shape,
)


def law(**values):
    return SimpleNamespace(**values)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(ParameterError, ValueError), (ShapeError, ValueError), (MissingExtraError, ImportError)],
)
def test_errors_are_also_the_builtin_that_callers_expect(kind, builtin):
    assert issubclass(kind, MatnetError) and issubclass(kind, builtin)
    assert issubclass(FileFormatError, MatnetError)


def test_convergence_error_carries_the_result():
    assert ConvergenceError("stopped", result=3).result == 3


def test_every_public_name_exists():
    assert all(hasattr(errors, name) for name in errors.__all__)


def test_require_finite_counts_the_bad_values():
    require_finite("density", [0.0, 1.0])
    with pytest.raises(ParameterError, match="density: 2 of 3 values are not finite"):
        require_finite("density", [np.nan, 0.0, np.inf])


def test_require_shape_gives_both_shapes():
    require_shape("strain", np.zeros((4, 6)), (None, 6))
    with pytest.raises(ShapeError, match=r"strain has shape \(4, 5\), expected \(any, 6\)"):
        require_shape("strain", np.zeros((4, 5)), (None, 6))


def test_require_positive_names_owner_value_and_unit():
    require_positive(law(K=1.0), "K")
    with pytest.raises(ParameterError, match=r"SimpleNamespace: K = 0\.0 Pa, expected > 0"):
        require_positive(law(K=0.0), "K", unit="Pa")
    with pytest.raises(ParameterError, match="K = nan, expected > 0"):
        require_positive(law(K=float("nan")), "K")


def test_require_non_negative_lets_zero_pass():
    require_non_negative(law(H=0.0), "H")
    with pytest.raises(ParameterError, match=r"H = -1\.0, expected >= 0"):
        require_non_negative(law(H=-1.0), "H")


def test_require_between_excludes_the_ends():
    require_between(law(nu=0.3), "nu", low=-1.0, high=0.5)
    with pytest.raises(ParameterError, match=r"nu = 0\.5, expected a value between -1 and 0\.5"):
        require_between(law(nu=0.5), "nu", low=-1.0, high=0.5)


@pytest.mark.parametrize("value", [True, "3", None, [1.0]])
def test_parameters_that_are_no_numbers_are_refused(value):
    with pytest.raises(ParameterError, match="expected a number"):
        require_positive(law(K=value), "K")
