"""Text that programs print and that people write: progress, masked secrets, YAML."""
