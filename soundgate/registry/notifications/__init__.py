"""Telling others of a decision: a program of theirs, or an address."""
