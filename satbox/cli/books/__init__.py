"""Journals, statements, receipts, disputes: read and checked."""
