"""Which node runs, or is to run, what: the gate's whole data plane asks here, by the node that a wallet's state names."""

from collections.abc import Sequence
from typing import Protocol

from actors.wallet.state import RuntimeRef, WalletState
from sandboxes.client import NodeClient


class Nodes(Protocol):
    """The nodes that this gate can reach."""

    def for_runtime(self, runtime: RuntimeRef) -> NodeClient:
        """The node on which it runs, by its `node_id`. Raises NodeUnavailable for one that nobody knows."""
        ...

    def for_wallet(self, state: WalletState) -> NodeClient:
        """The node that holds what a wallet has at rest, and what is kept for its next start. Raises NodeUnavailable."""
        ...

    def all(self) -> Sequence[NodeClient]:
        """Every node, for what is asked of all of them: how they do, and where there is room."""
        ...


class OneNode:
    """One machine: all there is runs on its node. `control` has connections of its own, since those of long commands may all be
    taken.
    """

    def __init__(self, node: NodeClient, control: NodeClient) -> None:
        self._node = node
        self._control = control

    def for_runtime(self, runtime: RuntimeRef) -> NodeClient:
        """See `Nodes`."""
        return self._node

    def for_wallet(self, state: WalletState) -> NodeClient:
        """See `Nodes`."""
        return self._node

    def all(self) -> Sequence[NodeClient]:
        """See `Nodes`."""
        return (self._control,)
