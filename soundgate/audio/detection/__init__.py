"""Detectors: networks that find calls in long recordings.

network.py    from a config or a folder to a network
published.py  models of ANIMAL-SPOT
training/     from a data set to a model
scoring/      from recordings to scores of their windows
"""
