"""The page of a search: what was found, to hear and to label."""
