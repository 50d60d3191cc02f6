"""A second stage behind a detector: a random forest that looks at each detection as a whole."""
