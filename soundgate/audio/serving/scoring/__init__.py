"""From uploads to answers.

batching.py   clips of many clients scored together
room.py       how much sound is in memory
decoding.py   files to clips, within limits
answers.py    scores to decisions, segments and events
asking.py     one recording, from its file to its answer
"""
