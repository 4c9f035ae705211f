"""From a folder of pictures and a table to an experiment that runs as it stands. Imports no torch.

`pictures` looks at the folder, `new_table` writes a table for pictures that have none, `findings` counts what the table
has, `plan` decides, and `experiment_file` writes the file.
"""
