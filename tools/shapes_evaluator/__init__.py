"""An independent reading of the shapes world's English: says whether a sentence is true of a scene, for tests and benchmarks."""
