"""Dataset files -> `Example` -> `Batch`: one reader per official format, the answer vocabulary, the DataModule.

This file imports nothing, so that `vlrouting validate` can ask `presence` about the files without loading torch. Of
the modules here `batch`, `vocabulary`, `sampler` and `datamodule` need torch; the others do with the standard library.
"""

INDEX_FOLDER = ".index"
"""Folder below a data root for what saves time at the next start (`index_folder`). It can be removed at any time."""
