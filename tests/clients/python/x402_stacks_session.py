"""PyPI x402-stacks 2.0.1 as its README shows it: requests one after another through one paying session.

In: {gate, stacksApi, network, key, pass, requests: [{path, body, query, headers}]}
Out: [{status, body, settled, signatures}], one for each request; a signature is a nonce looked up.
"""

import http.client
import json
import sys
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from x402_stacks import decode_payment_response, private_key_to_account
from x402_stacks.http.client_requests import create_payment_session

PUBLIC_HOSTS = {"api.hiro.so", "api.testnet.hiro.so"}
asked: list[str] = []


class Loopback(urllib.request.HTTPSHandler):
    """Leads the public Stacks API hosts to the devnet; everything else stays closed."""

    def __init__(self, stacks_api: str) -> None:
        super().__init__()
        self._base = urlsplit(stacks_api)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        if request.host not in PUBLIC_HOSTS:
            raise OSError(f"{request.host} is not on loopback")
        asked.append(request.selector)
        request.host, request.selector = self._base.netloc, self._base.path + request.selector
        return self.do_open(http.client.HTTPConnection, request)


def main() -> None:
    given = json.load(sys.stdin)
    urllib.request.install_opener(urllib.request.build_opener(Loopback(given["stacksApi"])))
    session = create_payment_session(private_key_to_account(given["key"], given["network"]))
    results: list[dict[str, Any]] = []
    for wanted in given["requests"]:
        before = len(asked)
        answer = session.request(
            "POST",
            given["gate"] + wanted["path"],
            json=wanted["body"],
            params=wanted.get("query"),
            headers={"authorization": f"Bearer {given['pass']}", **wanted.get("headers", {})},
        )
        settled = decode_payment_response(answer.headers.get("payment-response"))
        results.append(
            {
                "status": answer.status_code,
                "body": answer.json(),
                "settled": settled and settled.model_dump(by_alias=True),
                "signatures": len(asked) - before,
            }
        )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
