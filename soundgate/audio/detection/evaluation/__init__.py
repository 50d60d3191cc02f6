"""How well a detector finds the calls of a corpus, from the scores that it gave to windows."""
