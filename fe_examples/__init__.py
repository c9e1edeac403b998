"""Runnable stories and the microstructures they start from (`data`)."""
