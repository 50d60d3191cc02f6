"""Versions of registered models: finding one, its files, and what its tags say."""
