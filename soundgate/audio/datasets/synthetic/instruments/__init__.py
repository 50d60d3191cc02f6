"""A rendered multi-label set: six families of instruments by simple physical models."""
