"""These tests share dolfinx_cases.py, and pass over what dolfinx itself warns about."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # dolfinx_cases.py, dolfinx_warnings.py

from dolfinx_warnings import tolerate  # noqa: E402


def pytest_collection_modifyitems(items):
    tolerate(items, HERE)
