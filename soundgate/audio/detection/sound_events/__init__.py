"""Polyphonic sound events: many classes at once, scored frame by frame."""
