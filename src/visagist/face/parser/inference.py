"""The parser as users hold it."""
