"""What dolfinx itself warns about is not ours to cure."""

from pathlib import Path

import pytest

THEIRS = (
    "ignore:`product` is deprecated:DeprecationWarning",  # ffcx 0.5 with numpy 1.26
    "ignore:unclosed file:ResourceWarning",  # ffcx's cache, reported where it is collected
    "ignore:.*unclosed file.*:pytest.PytestUnraisableExceptionWarning",
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning",
)


def tolerate(items, folder):
    """Let the tests below a folder pass over these warnings."""
    for item in items:
        if folder in Path(item.path).parents:
            for theirs in THEIRS:
                item.add_marker(pytest.mark.filterwarnings(theirs))
