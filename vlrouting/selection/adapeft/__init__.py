"""AdaPEFT (arXiv 2505.12579), in our reading: no code of the method is public."""
