"""The front door: identity proof, x402 paywall, data-plane streams."""
