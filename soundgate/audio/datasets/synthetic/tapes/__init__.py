"""Long tapes of animal calls with strong labels, rendered: no download is needed."""
