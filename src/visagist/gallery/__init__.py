"""A gallery of enrolled people: sealed at rest, searched exactly, strangers are unknown."""
