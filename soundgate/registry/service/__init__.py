"""Talking to MLflow: its addresses, its connection, its errors, the runs that it tracks."""
