"""A rendered data set of ten environmental sounds, which needs no download."""
