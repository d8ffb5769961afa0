"""x402 payments: wire models, the sponsor-relay client, payment states, settlements."""
