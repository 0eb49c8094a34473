"""The network that fits 478 points to a face: training, evaluation and use."""
