"""Programs of the tagging pipeline that differ from those all systems share."""
