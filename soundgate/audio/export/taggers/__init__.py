"""Taggers as programs.

tagger.py   what is exported of a tagger, and by what it is proved
pieces.py   waveforms to the pieces that evaluation scores, and to images, as a module
scorer.py   an exported tagger that scores clips
"""
