"""The pure core of a wallet: state, bucket, metering, lifecycle and the one function that decides a turn."""
