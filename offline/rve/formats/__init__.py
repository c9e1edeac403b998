"""One file format per module; `offline.rve.files` picks the module by the file's suffix."""
