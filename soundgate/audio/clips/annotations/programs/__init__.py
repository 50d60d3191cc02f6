"""Annotation files of single programs."""
