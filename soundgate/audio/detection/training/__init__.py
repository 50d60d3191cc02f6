"""From a data set of short clips to a detector.

clips.py       the clips of a data set, decoded
windows.py     windows cut from clips: at random to learn from, in the middle to validate
augmentation.py  what is done to the power spectra of training windows
system.py      a detector as the training loop sees it
plan.py        what a training does, settled before its first step
fit.py         a training from data set to model
"""
