"""From uploads to answers.

batching.py   clips of many clients scored together
room.py       how much sound is in memory
decoding.py   files to clips, within limits
answers.py    scores to decisions, segments and events
folders.py    folders of the server, and what is true of their clips
asking.py     one recording, from its file to its answer
live.py       sound that arrives in pieces
"""
