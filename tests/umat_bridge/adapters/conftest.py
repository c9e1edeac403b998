"""Lets the tests import their own module."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # adapter_cases.py
