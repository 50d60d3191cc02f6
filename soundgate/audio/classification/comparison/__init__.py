"""A candidate against the champion, on the same test clips."""
