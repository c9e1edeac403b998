"""From pixels to a material network: microstructures, homogenisation, labels, training."""
