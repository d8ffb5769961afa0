"""Addresses and principals as text: c32check (SIP-005), strict and canonical.

The reference library reads lower case and look-alike letters (O, I, L); here one address has one text, because text is
compared, stored and signed.
"""

import re
from dataclasses import dataclass

from stacks.errors import AddressError
from stacks.hashes import sha256
from stacks.network import Network

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_VERSIONS = {
    version: network for network in Network for version in (network.single_sig_version, network.multi_sig_version)
}
ADDRESS_CHARS_MAX = 41
CONTRACT_NAME_CHARS_MAX = 40
_CONTRACT_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,39}")


def _checksum(version: int, hash160: bytes) -> bytes:
    return sha256(sha256(bytes([version]) + hash160))[:4]


@dataclass(frozen=True, slots=True)
class Address:
    """A Stacks address: a version (which network, one key or a script) and the hash160 of what controls it.

    Only the four versions of SIP-005 exist; any other raises AddressError, so `network` always has an answer.
    """

    version: int
    hash160: bytes

    def __post_init__(self) -> None:
        if self.version not in _VERSIONS:
            raise AddressError(f"unknown address version {self.version}")
        if len(self.hash160) != 20:
            raise AddressError(f"a hash160 has 20 bytes, not {len(self.hash160)}")

    def __str__(self) -> str:
        body = self.hash160 + _checksum(self.version, self.hash160)
        number, digits = int.from_bytes(body, "big"), []
        while number:
            number, digit = divmod(number, 32)
            digits.append(_ALPHABET[digit])
        zeros = len(body) - len(body.lstrip(b"\0"))  # c32check keeps one "0" for each leading zero byte
        return "S" + _ALPHABET[self.version] + "0" * zeros + "".join(reversed(digits))

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address written in `text`; raises AddressError unless it is the canonical text of one."""
        if not 3 <= len(text) <= ADDRESS_CHARS_MAX or text[0] != "S":
            raise AddressError("a Stacks address starts with S and has at most 41 characters")
        number = 0
        for letter in text[2:]:
            value = _VALUES.get(letter)
            if value is None:
                raise AddressError(f"{letter!r} is no c32 character")
            number = number * 32 + value
        version = _VALUES.get(text[1])
        if version is None or number >> 192:
            raise AddressError("not a Stacks address")
        body = number.to_bytes(24, "big")
        address = cls(version, body[:20])
        if body[20:] != _checksum(version, body[:20]):
            raise AddressError("address checksum does not match")
        if str(address) != text:
            raise AddressError("address is not in canonical form")
        return address

    @property
    def network(self) -> Network:
        """The network this address is written for."""
        return _VERSIONS[self.version]

    @property
    def is_single_sig(self) -> bool:
        """Whether one public key's hash controls it (SP, ST)."""
        return self.version == self.network.single_sig_version

    def to_network(self, network: Network) -> "Address":
        """The same controller written for another network (agents register on mainnet only)."""
        version = network.single_sig_version if self.is_single_sig else network.multi_sig_version
        return Address(version, self.hash160)


def check_contract_name(name: str) -> str:
    """`name` itself when it may name a contract (a letter, then letters, digits, - and _; at most 40)."""
    if _CONTRACT_NAME.fullmatch(name) is None:
        raise AddressError(f"{name[:60]!r} is no contract name")
    return name


@dataclass(frozen=True, slots=True)
class Principal:
    """Who can hold assets: an address, or a contract deployed under one (`ADDR.contract-name`)."""

    address: Address
    contract_name: str | None = None

    def __post_init__(self) -> None:
        if self.contract_name is not None:
            check_contract_name(self.contract_name)

    def __str__(self) -> str:
        return str(self.address) if self.contract_name is None else f"{self.address}.{self.contract_name}"

    @classmethod
    def parse(cls, text: str) -> "Principal":
        """The principal written in `text`; raises AddressError."""
        address, dot, name = text.partition(".")
        return cls(Address.parse(address), name if dot else None)

    @property
    def is_contract(self) -> bool:
        """Whether it is a contract rather than an account."""
        return self.contract_name is not None

    @property
    def network(self) -> Network:
        """The network its address is written for."""
        return self.address.network
