"""CGiNS: a learned start for the solver, on sparse periodic grids."""
