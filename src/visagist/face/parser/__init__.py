"""The parser: which part of a portrait each pixel belongs to."""
