"""Just enough bech32 (BIP-173, BIP-350) to write a Bitcoin address for the other network."""

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32, _BECH32M = 1, 0x2BC830A3
ADDRESS_CHARS_MAX = 90


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if (top >> bit) & 1 else 0
    return check


def _expand(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _decode(text: str) -> tuple[str, list[int], int]:
    prefix, separator, data = text.rpartition("1")
    values = [_CHARSET.find(letter) for letter in data]
    if not separator or len(text) > ADDRESS_CHARS_MAX or len(values) < 8 or -1 in values:
        raise ValueError("not a bech32 address")
    constant = _polymod(_expand(prefix) + values)
    expected = _BECH32 if values[0] == 0 else _BECH32M
    if constant != expected:
        raise ValueError("bech32 checksum does not match")
    return prefix, values[:-6], constant


def to_mainnet(text: str) -> str:
    """The `bc1...` form of a segwit address of any network; raises ValueError for anything else."""
    prefix, values, constant = _decode(text)
    if prefix not in ("bc", "tb", "bcrt"):
        raise ValueError("not a Bitcoin address")
    check = _polymod(_expand("bc") + values + [0] * 6) ^ constant
    tail = [(check >> 5 * (5 - index)) & 31 for index in range(6)]
    return "bc1" + "".join(_CHARSET[value] for value in values + tail)
