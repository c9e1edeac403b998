"""The tests' own module; dolfinx's warnings where the packages run."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # adapter_cases.py
