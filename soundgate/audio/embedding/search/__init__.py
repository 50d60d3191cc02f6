"""Nearest recordings to a sound or a sentence, among the embeddings of a corpus.

asking.py    from a sound, a sentence or a segment to a vector
scanning.py  every embedding is compared: exact, for some hundred thousand
index.py     a file that finds candidates among millions in milliseconds
finding.py   the nearest segments, one a recording
searching.py all of it: from a question to found.csv
"""
