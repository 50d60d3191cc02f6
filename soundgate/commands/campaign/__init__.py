"""``run-campaign``: many runs of the embedding pipeline, listed in a file of directives.

directives.py  the file: a header, and which configs, formats and octaves are run
entries.py     what is listed, as runs: one serves all octaves of a config, format and length
site.py        what the header says of a cluster
progress.py    how the runs stand, and the table of them
command.py     starts them one after another or all at once
"""
