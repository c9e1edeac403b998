"""For all tests: the order in which libraries are loaded, and modules that one may lack."""

from contextlib import suppress
from importlib.util import find_spec

GPU = "offline/homogenization/gpu/"
GPU_MODULES = ("triton_*.py", "compiled.py", "selfcheck.py")
TRITON_MODULES = [GPU + name for name in GPU_MODULES]
TRITON_MODULES.append("offline/surrogates/cgins/sparse_conv_triton.py")
collect_ignore_glob = [] if find_spec("triton") else TRITON_MODULES

# dolfinx 0.5 loads its HDF5 for everybody (RTLD_GLOBAL); a later h5py binds to it and fails
with suppress(ImportError):
    import h5py  # noqa: F401

# UFL lays out tables by expression type at its first use; types defined later have no place there
with suppress(ImportError):
    import dolfinx_external_operator  # noqa: F401
