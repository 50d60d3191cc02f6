"""Detectors as programs.

detector.py   what is exported of a detector, and by what it is proved
windows.py    recordings to images of their windows, as a module
"""
