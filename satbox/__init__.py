"""What a person touches: command line, Python client, settings, composition root."""
