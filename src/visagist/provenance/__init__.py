"""Marks that say how a picture was made.

A signed manifest in the file (C2PA), an invisible watermark in the pixels that carries the
manifest's id, and a local list of ids, so that a picture whose file was stripped is still known.
Works on bytes and arrays; which file they come from is for the room that calls.
"""
