"""Levels in fractional-octave bands by IEC 61260-1:2014, any number of bands an octave.

``bands`` names the bands, ``filters`` designs a filter for each, ``levels`` runs them over a
waveform on the CPU and ``levels_torch`` over a batch on any device; both in float64.
"""
