"""Merkle trees as in RFC 6962, section 2.1: leaves and nodes are hashed apart, so that neither can pass for the other.

>>> leaves = [leaf_hash(bytes([n])) for n in range(5)]
>>> all(root_from(leaves[n], n, 5, path(levels(leaves), n)) == root(leaves) for n in range(5))
True
"""

import hashlib
from collections.abc import Sequence


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """The whole tree, leaves first, the root alone in the last level. There must be a leaf."""
    found = [list(leaves)]
    while len(found[-1]) > 1:
        below = found[-1]
        pairs = [node_hash(below[n], below[n + 1]) for n in range(0, len(below) - 1, 2)]
        found.append(pairs + ([below[-1]] if len(below) % 2 else []))  # one without a neighbour moves up as it is
    return found


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes; of none it is SHA-256 of nothing."""
    return levels(leaves)[-1][0] if leaves else hashlib.sha256().digest()


def path(tree: Sequence[Sequence[bytes]], position: int) -> list[bytes]:
    """The audit path of one leaf in a tree of `levels`, from its neighbour up."""
    found: list[bytes] = []
    for level in tree[:-1]:
        neighbour = position ^ 1
        if neighbour < len(level):
            found.append(level[neighbour])
        position //= 2
    return found


def root_from(leaf: bytes, position: int, size: int, audit_path: Sequence[bytes]) -> bytes | None:
    """The root that a leaf and its path lead to; None when the path does not fit a tree of this size (RFC 9162, 2.1.3.2)."""
    if not 0 <= position < size:
        return None
    found, last = leaf, size - 1
    for neighbour in audit_path:
        if last == 0:
            return None
        if position % 2 or position == last:
            found = node_hash(neighbour, found)
            while position % 2 == 0 and position:
                position, last = position // 2, last // 2
        else:
            found = node_hash(found, neighbour)
        position, last = position // 2, last // 2
    return found if last == 0 else None
