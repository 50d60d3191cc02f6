"""From scores of frames to events: filters and boxes, tuned for each class."""
