"""Taggers: which of several labels are heard in a clip; trained and judged on waveforms.

chunks.py      what a clip is cut into, in training and afterwards
network.py     from a config or a model folder to a network
inference.py   scores of clips
system.py      what the training loop is given
stages.py      the head first, then more of the network
fit.py         the whole of a training
evaluation.py  the report
comparison.py  candidate and champion on the same clips
"""
