"""``model.json`` of each kind of system."""
