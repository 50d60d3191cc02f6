"""The report of a tagger in the files that users of ``run_test.py`` know.

files.py   decisions and metrics as text, and which files are written
counts.py  what is counted: pairs of labels, figures of each clip
plots.py   the pictures
"""
