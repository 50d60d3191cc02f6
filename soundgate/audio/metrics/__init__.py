"""Figures of merit and their intervals, on arrays."""
