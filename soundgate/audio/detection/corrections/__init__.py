"""From detections back to labels: what people should look at, and what they said of it."""
