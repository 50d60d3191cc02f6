"""Network architectures, what they are built of, and readers of foreign weights."""
