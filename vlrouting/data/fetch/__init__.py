"""Fetching official files: what there is (`manifest`), what is missing (`missing`), and getting it (`fetch`)."""
