"""The folders that steps hand to one another, one module a format."""
