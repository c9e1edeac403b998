"""For all tests: the order in which two libraries that do not get along are loaded."""

from contextlib import suppress

# dolfinx 0.5 loads its HDF5 for everybody (RTLD_GLOBAL); a later h5py binds to it and fails
with suppress(ImportError):
    import h5py  # noqa: F401
