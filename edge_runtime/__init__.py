"""What a board needs to run a release and to learn on top of it: NumPy and the inference runtime, and no torch."""
