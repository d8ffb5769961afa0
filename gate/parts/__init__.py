"""What a gate is made of: the interfaces to the rest of the service, and the small things that it keeps itself."""
