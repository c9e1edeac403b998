"""For all tests: the order in which libraries that do not get along are loaded."""

from contextlib import suppress

# dolfinx 0.5 loads its HDF5 for everybody (RTLD_GLOBAL); a later h5py binds to it and fails
with suppress(ImportError):
    import h5py  # noqa: F401

# UFL lays out tables by expression type at its first use; types defined later have no place there
with suppress(ImportError):
    import dolfinx_external_operator  # noqa: F401
