"""Hardware-in-the-loop regression tests: a pytest plugin that is loaded everywhere and works where a test asks."""
