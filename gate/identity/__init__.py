"""Who is calling, what they may do, and for how long."""
