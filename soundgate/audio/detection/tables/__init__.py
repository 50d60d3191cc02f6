"""What is written of detections: tables of metrics, indexes, selection tables."""
