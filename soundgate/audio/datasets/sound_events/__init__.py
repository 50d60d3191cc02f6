"""Data sets of sound events brought into one form, from the folders in which they are published."""
