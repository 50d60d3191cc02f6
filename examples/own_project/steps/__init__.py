"""The steps: programs."""
