"""The fungible tokens payments are made in: exact contracts per network, decimals and asset names."""

from dataclasses import dataclass

from stacks.c32 import Principal
from stacks.network import Network


@dataclass(frozen=True, slots=True)
class Token:
    """A SIP-010 token: its contract on one network and the asset name its post-conditions use."""

    symbol: str
    contract: Principal
    asset_name: str
    decimals: int

    @property
    def asset_id(self) -> str:
        """`CONTRACT::asset`, as the Stacks API names it."""
        return f"{self.contract}::{self.asset_name}"


_SBTC = {
    Network.MAINNET: "SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4.sbtc-token",
    Network.TESTNET: "ST1F7QA2MDF17S807EPA36TSS8AMEFY4KA9TVGWXT.sbtc-token",
}
_USDCX = {
    Network.MAINNET: "SP120SBRBQJ00MCWS7TM5R8WJNTTKD5K0HFRC2CNE.usdcx",
    Network.TESTNET: "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.usdcx",
}


def sbtc(network: Network) -> Token:
    """sBTC: one unit is one satoshi."""
    return Token("sBTC", Principal.parse(_SBTC[network]), "sbtc-token", 8)


def usdcx(network: Network) -> Token:
    """USDCx: six decimals. The testnet contract is only a client default, not a known deployment."""
    return Token("USDCx", Principal.parse(_USDCX[network]), "usdcx-token", 6)
