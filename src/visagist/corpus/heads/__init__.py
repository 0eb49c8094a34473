"""Rendered people with exact labels, from MakeHuman's base mesh, targets and assets."""
