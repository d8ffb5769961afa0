"""Files and folders, one or many."""
