"""Pixels to faces: detect, mesh, align to the canonical crop, regions, paste back."""
