"""The label-free CNN: displacement fields of voxel cells from their energy."""
