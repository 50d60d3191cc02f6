"""Classes of sound events over several data sets, and events as targets of a network."""
