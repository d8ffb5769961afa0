"""x402 at the gate: offers, the 402, a payment on chain and its answers."""
