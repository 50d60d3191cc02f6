"""Events that people or detectors marked in recordings, in the files of many programs."""
