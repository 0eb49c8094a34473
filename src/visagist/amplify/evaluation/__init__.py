"""The paper's experiment, repeated: how far five pairs reach, and what amplifying them is worth."""
