"""Many recordings to embeddings.

engine.py   records to one embedding each: decoding and computing at the same time
windows.py  what a record is cut into, and how the embeddings of its windows become one
"""
