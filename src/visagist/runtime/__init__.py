"""Model files and the sessions that run them: checked, opened, never downloaded; no torch."""
