"""Whether a sentence is true of a scene, read from the words alone: for tests and benchmarks of the shapes world."""
