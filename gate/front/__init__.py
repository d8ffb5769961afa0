"""The front: how the gate listens, its application, from the registry to routes, and what machines read first."""
