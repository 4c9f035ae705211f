"""A user's own table of images with questions or captions: JSON Lines, CSV, TSV, parquet.

`files` finds the tables, `rows` opens one, `record` validates a row, `images` looks for the pictures, `made_splits`
divides a table that is not divided yet, `check` goes through all tables, `examples` makes the examples. Everything that
is wrong with the files is collected (`mistakes`) and reported at once.
"""
