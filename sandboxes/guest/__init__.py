"""Programs that run inside a sandbox as the tenant. They are handed over as text; nothing of ours has to lie there."""
