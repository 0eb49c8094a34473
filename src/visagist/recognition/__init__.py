"""Face recognition: the embedding network, its losses, and how surely it rejects strangers."""
