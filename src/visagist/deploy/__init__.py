"""From a trained network to something that ships: export, parity, benchmark, doctor."""
