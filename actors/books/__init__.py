"""The books of wallets, for whoever reads or proves them: ranges, chains, checkpoints. Nothing here moves money."""
