"""Classifiers on the embeddings of a frozen encoder.

grids.py       the heads that are tried, among them the published grids
settled.py     rows of a split as arrays
ridge.py       least squares in closed form
layers.py      a linear layer or several, on the training loop
trees.py       XGBoost
head.py        scores of embeddings, from a model's folder
fit.py         from embeddings to a model's folder
choosing.py    the best of several heads by ``valid``, and the table of all
evaluation.py  the report on ``test``
zero_shot.py   the same without any training, by sentences about the classes
comparison.py  a candidate and the champion on the same clips
"""
