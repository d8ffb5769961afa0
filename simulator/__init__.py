"""The whole service on a virtual clock, from one seed: real wallets and settlements on a pretended machine, relay and chain.

Everything that happens is drawn from the seed, so a failure is a number. `python -m simulator --seed N --steps M`.
"""
