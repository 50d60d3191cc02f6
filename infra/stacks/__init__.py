"""The account's resources, one idea a file; ``training.py`` puts them together."""
