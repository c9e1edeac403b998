"""Examples run dolfinx, which warns about itself."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # fe_cases.py, dolfinx_warnings.py

from dolfinx_warnings import tolerate  # noqa: E402


def pytest_collection_modifyitems(items):
    tolerate(items, HERE)
