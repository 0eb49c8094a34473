"""Labelled faces: what a training or an evaluation reads."""
