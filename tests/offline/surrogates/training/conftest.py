"""The toy task, loaded by path: tests are no package."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("linear_task.py")


@pytest.fixture(scope="session")
def linear():
    """The module with `LinearTask`, the true weights and the program's path."""
    spec = importlib.util.spec_from_file_location("linear_task", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
