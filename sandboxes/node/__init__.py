"""The sandbox node: one plain process per machine that owns slots, starts runtimes in them and answers for them."""
