"""What verbs and their arguments do, in words of the command line, where the registry's words are for every surface."""

SUMMARIES = {
    "gate.challenge": "get a challenge, to sign with keys kept elsewhere",
    "gate.prove": "prove the agent's keys; other verbs do so themselves",
    "gate.revoke": "void every pass issued for your wallet so far",
    "sandbox.quote": "see what sats or seconds cost; nothing is bought",
    "oracle.prices": "see what each coin is worth, and why one is missing",
    "oracle.sources": "see how each price source does",
    "agents.resolve": "see whom a handle names",
    "sandbox.create": "create your sandbox and pay for it",
    "sandbox.extend": "pay for more time, also as a gift; wakes a reaped one",
    "payment.status": "see where a payment stands",
    "sandbox.status": "see state, balance and how long it lasts",
    "sandbox.exec": "run a command in your sandbox",
    "files.read": "read a file",
    "files.write": "write a file",
    "files.delete": "delete a file or a directory with all in it",
    "files.list": "list a directory (default: /workspace)",
    "files.stat": "see what a path is",
    "files.mkdir": "make a directory and its parents",
    "files.move": "move or rename a file",
    "sandbox.wake": "start a reaped sandbox on the credit that is left",
    "sandbox.reap": "stop the sandbox; workspace and credit are kept",
    "sandbox.pause": "freeze it: memory kept, no CPU, a lower rate",
    "sandbox.resume": "let a paused sandbox run on",
    "sandbox.ledger": "read your journal: deposits and charges",
    "sandbox.statement": "get a signed statement as a file",
    "service.key": "see the operator's public key",
    "checkpoints.list": "read the signed checkpoints",
    "checkpoints.proof": "prove that a checkpoint holds your head",
    "operator.checkpoint": "make a checkpoint now",
    "disputes.open": "dispute an entry or a receipt",
    "disputes.list": "see your disputes and what was said to them",
    "sandbox.reclaim": "get what is left of deposits back",
    "sandbox.reclaims": "see where payouts stand",
    "operator.payouts": "list payouts that are not over",
    "operator.payout_approve": "let a payout pass",
    "operator.payout_deny": "refuse a payout that is not signed yet",
    "operator.disputes": "list the disputes that wait for us",
    "operator.answer": "answer a dispute",
    "operator.uphold": "decide for the owner, and put it right",
    "operator.deny": "decide against the owner",
    "sandbox.budget": "say what your sandbox may cost an hour",
    "sandbox.meters": "see what is metered, and at which rate",
    "sandbox.meter": "check every charge by hand",
    "sandbox.events": "see what happened to your wallet, or follow it",
    "operator.rate": "set the rate of one wallet",
    "files.pack": "get a folder as an archive",
    "files.unpack": "unpack an archive into a folder",
    "files.watch": "follow what changes in a folder",
    "processes.start": "start a process that goes on by itself",
    "processes.list": "list background processes",
    "processes.get": "see a process and how it ended",
    "processes.kill": "end a process and all it started",
    "processes.signal": "signal a process",
    "processes.write": "send a process our standard input",
    "processes.resize": "tell a process's terminal its size",
    "processes.wait": "wait for its end, its output or its port",
    "processes.logs": "read what a process wrote, or follow it",
    "processes.attach": "attach this terminal to a process",
    "ports.list": "list the ports that are listened on inside",
    "ports.expose": "let whoever has a token reach a port",
    "ports.revoke": "void every token of a port",
    "contexts.create": "start a Python that keeps its variables",
    "contexts.list": "list code contexts",
    "contexts.run": "run Python in a context",
    "contexts.interrupt": "interrupt what runs in a context",
    "contexts.delete": "end a context; its variables are gone",
    "sandbox.usage": "see its CPU, memory, disk and egress",
    "snapshots.create": "keep the workspace as it is now, under a name",
    "snapshots.list": "list the snapshots of your workspace",
    "snapshots.restore": "go on from a snapshot",
    "snapshots.delete": "delete a snapshot, for good",
    "git.clone": "clone a git repository into the workspace",
    "secrets.set": "keep a secret; its value is our standard input",
    "secrets.list": "list secrets: names and kinds, no values",
    "secrets.delete": "delete a secret",
    "stacks.decode_transaction": "read a transaction, check its signatures",
    "stacks.decode_clarity": "read a Clarity value",
    "stacks.address": "check an address, see it on both networks",
    "stacks.verify_sip018": "check who signed structured data (SIP-018)",
    "stacks.verify_message": "check who signed a plain message",
    "stacks.verify_btc_message": "check a Bitcoin address's signature",
    "hashing.digest": "hash text, or bytes in hex with 0x",
    "service.health": "see whether the service and its parts work",
    "service.metrics": "counters and histograms in Prometheus text",
}

HELP = {
    (
        "sandbox.events",
        "limit",
    ): "show the newest so many; with --after or --json at most so many from there on (default: 200)",
    ("sandbox.events", "after"): "only what is numbered above this (the first column)",
    ("sandbox.events", "follow"): "show all, then go on with what happens next, until Ctrl-C",
    ("sandbox.ledger", "after"): "only what is numbered above this (the first column)",
    ("files.list", "path"): "a folder; relative ones are below /workspace, which is the default",
}

LOCAL_TEXTS = {
    "mcp": "Serve the tools over the Model Context Protocol. An MCP client (an agent's host) starts this by itself and talks to"
    " it on standard input and output: name the command satbox with the argument mcp in its configuration. It pays with the"
    " agent's keys, at most --max-sats in all.",
    "audit": "Prove the books of the service on this machine, running or at rest: every deposit has one confirmed settlement"
    " and the reverse, all money that came in is accounted for to the micro-sat, every charge lies in proven uptime, every"
    " chain is whole. Exits 1 and lists what is off.",
    "cp": "Copy files and directories. One side is box:PATH, a path in the sandbox (relative ones are below /workspace), the"
    " other a path here. Links are skipped, and named.",
}
"""Longer words for the own help of verbs that are no operation."""

_FROM_STDIN = "; - reads it from standard input"
for _operation, _name, _what in (
    ("stacks.decode_transaction", "hex", "the transaction's bytes in hex"),
    ("stacks.decode_clarity", "hex", "the value's bytes in hex"),
    ("stacks.address", "address", "a Stacks address, or a contract's ADDRESS.name"),
    ("stacks.verify_sip018", "domain_hex", "the domain tuple's Clarity bytes in hex"),
    ("stacks.verify_sip018", "message_hex", "the message's Clarity bytes in hex"),
    ("stacks.verify_message", "message", "the message, exactly as signed"),
    ("stacks.verify_btc_message", "message", "the message, exactly as signed"),
    ("hashing.digest", "data", "text, or bytes in hex with 0x"),
):
    HELP[_operation, _name] = _what + _FROM_STDIN

DEFAULTS = {("files.list", "path"): "/workspace"}
"""Arguments that other surfaces require."""
