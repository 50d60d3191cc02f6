"""Audio machine learning as code."""
