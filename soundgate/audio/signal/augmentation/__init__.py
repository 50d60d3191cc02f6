"""What is done to training clips, batched and on the device that trains.

What is drawn for a clip depends on the seed, the epoch and the clip alone (``draws``), so neither
the batch a clip is in nor its place there changes it. ``chain`` applies augmentations by name.
"""
