"""Programs. Each module is one step: ``python -m steps.NAME --help`` shows its interface."""
