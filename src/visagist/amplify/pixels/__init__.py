"""The amplifier of our own: a small image-conditional diffusion network in pixel space."""
