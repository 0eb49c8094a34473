"""Photos: the one safe door for pixels, in and out."""
