"""Requests and answers as bytes: what is read, kept and written, within limits, whoever the caller is."""
