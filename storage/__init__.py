"""Durable state, the one way it is kept here: files of SQLite, transactions, migrations, one writer that commits in groups."""
