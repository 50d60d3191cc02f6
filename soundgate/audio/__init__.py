"""Everything about sound. Knows nothing of runs, stores or registries."""
