"""Folders of segments, of their embeddings, and of their levels in octave bands.

segments.py    what is embedded: windows of tracks, and the plan of them
vectors.py     embeddings: a row a segment
levels.py      levels in fractional-octave bands: a row a segment
keyed_rows.py  what these have in common: Parquet files sorted by ``record_id``, and their union
hdf5.py        the files that users of SEC_pipeline read
"""
