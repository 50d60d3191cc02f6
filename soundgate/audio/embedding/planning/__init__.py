"""Which segments of a corpus are embedded, and on which side each is.

tracks.py    recordings of a data set and their classes
cutting.py   tracks to segments: rounds, offsets
sides.py     recordings to train, es, valid and test
filling.py   segments counted out for each side
leakage.py   recordings that lie on several sides
plan.py      all of it: a data set to a records/ folder
"""
