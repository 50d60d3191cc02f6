"""Finding a learning rate before a training."""
