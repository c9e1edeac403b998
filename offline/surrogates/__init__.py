"""Neural surrogates of the effective stiffness, their data and their training."""
