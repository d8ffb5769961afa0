"""The operation registry: what satbox offers, in models, errors and routes, with no I/O."""
