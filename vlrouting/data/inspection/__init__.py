"""What is in a dataset's files, and what is wrong with it: `vlrouting data check`, `vlrouting data show`. No torch."""
