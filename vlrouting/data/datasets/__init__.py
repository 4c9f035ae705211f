"""Official file formats: one reader per format, which checks what it reads and yields `Example`s."""
