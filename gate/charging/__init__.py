"""One way to charge for anything: offer, hold the most it can cost, run, settle what it did cost, release the rest.

What is charged for is a `Bill`; who pays is found by the `Charger`; what is held is a `Charge`. Calls to what runs in a sandbox
(`gate.calls`) and the operator's own priced operations (`gate.front.priced`) are its users. `design/charging.md`.
"""
