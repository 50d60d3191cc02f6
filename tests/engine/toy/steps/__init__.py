"""Programs of the toy pipelines."""
