"""Dense periodic grids on torch: what PH-Net and the label-free CNN share."""
