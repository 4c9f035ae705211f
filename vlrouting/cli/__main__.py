"""`python -m vlrouting.cli` is the command `vlrouting`."""

from vlrouting.cli import main

main()
