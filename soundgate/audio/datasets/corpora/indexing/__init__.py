"""The index of a corpus, made of names of files or of annotation tables."""
