"""What a pipeline's declaration is checked by: axes of maps, arguments, what is said of a task."""
