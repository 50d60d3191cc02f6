"""Corpora of long recordings: their index, and data sets cut from them to train detectors."""
