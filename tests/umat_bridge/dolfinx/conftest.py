"""What dolfinx itself warns about is not ours to cure."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # dolfinx_cases.py

THEIRS = (
    "ignore:`product` is deprecated:DeprecationWarning",  # ffcx 0.5 with numpy 1.26
    "ignore:unclosed file:ResourceWarning",  # ffcx's cache, reported where it is collected
    "ignore:.*unclosed file.*:pytest.PytestUnraisableExceptionWarning",
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in Path(item.path).parents:
            for theirs in THEIRS:
                item.add_marker(pytest.mark.filterwarnings(theirs))
