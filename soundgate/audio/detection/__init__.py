"""Detectors: networks that find calls in long recordings.

network.py    from a config or a folder to a network
published.py  models that ANIMAL-SPOT saved, and conversion.py, which makes folders of them
rates.py      which sampling rates a model takes
training/     from a data set to a model
scoring/      from recordings to scores of their windows
evaluation/   from scores to figures
"""
