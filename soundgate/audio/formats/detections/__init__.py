"""What detectors write: scores of windows."""
