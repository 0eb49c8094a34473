"""Protocols of recognition: who is compared with whom, under which conditions, and the errors."""
