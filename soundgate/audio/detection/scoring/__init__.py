"""From recordings of any length to scores of their windows.

recordings.py  which recordings, or regions of them, are scored
blocks.py      a recording as a stream of blocks, at the model's rate
scorer.py      blocks to scores: frames shared by windows, batches shared by recordings
prediction.py  a folder of recordings to a folder of scores
"""
