"""Puts one person's identity on a picture of another: networks, training pictures, use."""
