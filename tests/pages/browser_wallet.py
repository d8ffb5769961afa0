"""A wallet in place of the browser extension: it speaks Leather's methods and signs with our own codecs."""

import json
from typing import Any

from satbox.agent.keystore import Agent
from satbox.agent.signing import sign_bitcoin_message
from stacks import decode_transaction
from stacks.clarity import Tuple, deserialize
from stacks.signing import sign_origin
from stacks.sip018 import sign_structured
from tests.pages.browsing import Visit

PROVIDER = """
window.LeatherProvider = {
  isLeather: true,
  request: async (method, params) => {
    const answer = JSON.parse(await window.browserWallet(method, JSON.stringify(params ?? {})));
    if (answer.error) throw { jsonrpc: "2.0", id: "1", error: answer.error };
    return { jsonrpc: "2.0", id: "1", result: answer };
  },
};
"""


class BrowserWallet:
    """Answers what a page asks; `says_no` is a person who closes the window."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.asked: list[str] = []
        self.signed: list[str] = []
        self.says_no = False

    async def join(self, visit: Visit) -> None:
        """Be installed in the visitor's browser before any page loads."""
        await visit.context.expose_function("browserWallet", self._answer)
        await visit.context.add_init_script(PROVIDER)

    def _answer(self, method: str, text: str) -> str:
        self.asked.append(method)
        if self.says_no:
            return json.dumps({"error": {"code": 4001, "message": "User rejected the request"}})
        return json.dumps(getattr(self, f"_{method}")(json.loads(text)))

    def _getAddresses(self, params: Any) -> Any:
        pair = self.agent.testnet
        key = self.agent.stacks_key.public_key
        return {
            "addresses": [
                {"symbol": "BTC", "type": "p2wpkh", "address": pair.btc, "publicKey": ""},
                {"symbol": "STX", "address": pair.stx, "publicKey": key.encoded(compressed=True).data.hex()},
            ]
        }

    def _stx_signTransaction(self, params: Any) -> Any:
        assert params["broadcast"] is False
        transaction = decode_transaction(bytes.fromhex(params["transaction"]))
        signed = sign_origin(transaction, self.agent.stacks_key).serialize().hex()
        self.signed.append(signed)
        return {"transaction": signed}

    def _stx_signStructuredMessage(self, params: Any) -> Any:
        message, domain = (deserialize(bytes.fromhex(params[name])) for name in ("message", "domain"))
        assert isinstance(message, Tuple)
        assert isinstance(domain, Tuple)
        return {"signature": sign_structured(self.agent.stacks_key, domain, message).hex(), "publicKey": ""}

    def _signMessage(self, params: Any) -> Any:
        signature = sign_bitcoin_message(self.agent.bitcoin_key, params["message"])
        return {"signature": signature, "address": params["address"]}
