"""What a data set is and holds: its card, and what its inspection found."""
