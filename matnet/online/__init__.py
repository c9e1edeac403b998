"""Tree solvers: what a network does at a material point."""
