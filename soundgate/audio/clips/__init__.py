"""The clips of a data set: their list, which of them are used, and how they are split."""
