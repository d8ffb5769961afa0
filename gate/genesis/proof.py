"""Check both signatures over a challenge."""

from gate.genesis.bitcoin import parse_bitcoin_address, verify_bitcoin
from gate.genesis.challenge import Claims, check_stacks_address
from operations.errors import SatboxError
from stacks import Network, SignatureError
from stacks.clarity import Tuple
from stacks.sip018 import recover_structured


def verify_proof(claims: Claims, domain: Tuple, btc_signature: str, stx_signature: str, network: Network) -> str:
    """Both keys signed this challenge; returns the Bitcoin scheme. Each failure has its own code.

    The Stacks address is compared by the recovered key's hash160, never by what the caller claims. A signer that ignores
    the printed hints encodes text as utf8 and numbers as int: that form is accepted too, it says the same.
    """
    scheme = verify_bitcoin(parse_bitcoin_address(claims.btc_address, network), claims.text(), btc_signature)
    address = check_stacks_address(claims.stx_address, network)
    for message in (claims.message(), claims.untyped_message()):
        try:
            key = recover_structured(domain, message, stx_signature)
        except SignatureError as error:
            code = "signature_high_s" if error.code == "high_s" else "stx_signature_invalid"
            raise SatboxError(code, details={"reason": str(error)}) from error
        if key.hash160 == address.hash160:
            return scheme
    raise SatboxError("stx_signature_invalid", details={"reason": "signed by another key, or over other data"})
