"""Doctests of the bridge to dolfinx need dolfinx."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("dolfinx") else ["dolfinx"]
