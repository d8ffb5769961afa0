"""Durable wallet actors: bucket, lifecycle, journal, storage and the hosts that run them."""
