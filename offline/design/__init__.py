"""Inverse design of plane two-phase cells: wanted properties to pictures."""
