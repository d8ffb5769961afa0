"""The two Stacks networks and the numbers that differ between them (SIP-005, CAIP-2)."""

from enum import Enum

from stacks.errors import StacksError


class UnknownNetwork(StacksError):  # noqa: N818
    """A CAIP-2 id or chain id of a network that is neither mainnet nor testnet."""

    code = "unknown_network"


class Network(Enum):
    """A Stacks network; every number that depends on the network is here."""

    MAINNET = "mainnet"
    TESTNET = "testnet"

    @property
    def chain_id(self) -> int:
        """Chain id of transactions and SIP-018 domains."""
        return 1 if self is Network.MAINNET else 0x80000000

    @property
    def transaction_version(self) -> int:
        """First byte of a transaction (SIP-005)."""
        return 0x00 if self is Network.MAINNET else 0x80

    @property
    def caip2(self) -> str:
        """CAIP-2 id, as x402 names networks."""
        return f"stacks:{self.chain_id}"

    @property
    def single_sig_version(self) -> int:
        """Address version of a single key (SP, ST)."""
        return 22 if self is Network.MAINNET else 26

    @property
    def multi_sig_version(self) -> int:
        """Address version of a script hash (SM, SN)."""
        return 20 if self is Network.MAINNET else 21

    @classmethod
    def from_caip2(cls, text: str) -> "Network":
        """The network of a CAIP-2 id such as `stacks:1`; raises UnknownNetwork."""
        for network in cls:
            if network.caip2 == text:
                return network
        raise UnknownNetwork(f"unknown network {text[:40]!r}")

    @classmethod
    def from_chain_id(cls, chain_id: int) -> "Network":
        """The network of a numeric chain id; raises UnknownNetwork."""
        for network in cls:
            if network.chain_id == chain_id:
                return network
        raise UnknownNetwork(f"unknown chain id {chain_id}")
