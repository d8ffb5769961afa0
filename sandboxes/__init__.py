"""The sandbox node: slots, drivers, the in-sandbox supervisor, workspaces."""
