"""Training, whatever is learnt: optimisation, checkpoints, processes, logs."""
