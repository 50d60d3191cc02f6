"""What differs between systems in a prediction: one predictor for each format of ``model.json``.

base.py        what prediction asks of a model
opening.py     from a ``model/`` folder to its predictor
classifier.py  one class or several of log-mel patches
tagger.py      labels of waveforms, by a threshold each
detector.py   calls in windows of recordings
programs.py    the same by programs alone, without torch
embedding_classifier.py   one class, of the embeddings of an encoder
"""
