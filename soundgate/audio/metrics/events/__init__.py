"""How well events are detected: matching, intersection criteria, segments, PSDS."""
