"""What a network minimises, one module a kind of task."""
