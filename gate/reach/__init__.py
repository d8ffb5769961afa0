"""From a wallet to what runs in its sandbox: the runtime, streams, websockets, receipts of commands."""
