"""Parameters of pipelines: a group in each module, or all of one system."""
