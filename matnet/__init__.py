"""matnet: from a voxel image of a microstructure to a constitutive law for finite elements."""

__version__ = "0.1.0"
