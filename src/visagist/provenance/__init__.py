"""Marks that say how a picture was made: a signed manifest in the file, a watermark in the pixels."""
