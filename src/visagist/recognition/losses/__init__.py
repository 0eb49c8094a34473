"""Losses of the recogniser: margins on labelled faces, rejection of unlabelled ones."""
