"""The homogenisation solver on torch devices: CUDA in use, the CPU in tests."""

from offline.homogenization.gpu.memory import DeviceMemoryError, peak_memory
from offline.homogenization.gpu.solve import homogenize_many, homogenize_on, solve_operator

__all__ = ["DeviceMemoryError", "homogenize_many", "homogenize_on", "peak_memory", "solve_operator"]
