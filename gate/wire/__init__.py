"""Requests and answers as bytes: what is read, kept and written, within limits that hold for every caller."""
