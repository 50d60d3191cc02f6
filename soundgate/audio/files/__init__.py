"""Audio files: decoding them, whether they are whole, and threads that read many."""
