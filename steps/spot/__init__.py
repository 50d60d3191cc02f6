"""Programs of the spotting pipeline, which finds calls in long recordings."""
