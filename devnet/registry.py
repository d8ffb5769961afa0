"""The agent registry of aibtc.com: who is registered, with which pair of addresses and at which level. [lp: lib/levels.ts]

Addresses are kept in their mainnet form, as the real one does; a look-up by ST... or tb1... finds the same key's entry.
"""

import hashlib
from dataclasses import asdict, dataclass
from urllib.parse import quote

from devnet.bech32 import to_mainnet
from devnet.records import JsonObject
from stacks.c32 import Address
from stacks.errors import AddressError
from stacks.network import Network

LEVELS = ("Unverified", "Verified Agent", "Genesis")
_FIRST = (
    "Swift",
    "Bright",
    "Calm",
    "Bold",
    "Quiet",
    "Amber",
    "Iron",
    "Lucid",
    "Tiny",
    "Solar",
    "Rapid",
    "Noble",
    "Misty",
    "Vivid",
    "Stark",
    "Ivory",
)
_SECOND = (
    "Raven",
    "Otter",
    "Falcon",
    "Badger",
    "Heron",
    "Lynx",
    "Comet",
    "Cedar",
    "Ember",
    "Harbor",
    "Quartz",
    "Signal",
    "Willow",
    "Anchor",
    "Beacon",
    "Drift",
)


def display_name(btc_address: str) -> tuple[str, list[str], int]:
    """Name, its parts and hash: a pure function of the Bitcoin address, so two agents may share one."""
    number = int.from_bytes(hashlib.sha256(btc_address.encode()).digest()[:4], "big")
    parts = [_FIRST[number % len(_FIRST)], _SECOND[number // len(_FIRST) % len(_SECOND)]]
    return " ".join(parts), parts, number


def stacks_mainnet(text: str) -> str | None:
    """The SP... form of a Stacks address, or None."""
    try:
        return str(Address.parse(text).to_network(Network.MAINNET))
    except AddressError:
        return None


def bitcoin_mainnet(text: str) -> str | None:
    """The bc1... form of a segwit address, or None."""
    try:
        return to_mainnet(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Agent:
    """One registered agent."""

    stx_address: str
    btc_address: str
    display_name: str
    level: int
    verified_at: str
    description: str | None = None

    def public(self) -> JsonObject:
        """The `agent` object of a look-up."""
        return {
            "stxAddress": self.stx_address,
            "btcAddress": self.btc_address,
            "displayName": self.display_name,
            "description": self.description,
            "bnsName": None,
            "verifiedAt": self.verified_at,
            "owner": None,
            "lastActiveAt": None,
            "erc8004AgentId": None,
            "caip19": None,
        }

    @property
    def standing(self) -> JsonObject:
        """Level fields that accompany an agent."""
        following: JsonObject | None = None
        if self.level < 2:
            actions = ("Register with both keys", "Claim on X to reach Genesis")
            endpoint = ("POST /api/register", "POST /api/claims/viral")[self.level]
            following = {
                "level": self.level + 1,
                "name": LEVELS[self.level + 1],
                "action": actions[self.level],
                "reward": "",
                "endpoint": endpoint,
            }
        return {"level": self.level, "levelName": LEVELS[self.level], "nextLevel": following}

    @property
    def enrichment(self) -> JsonObject:
        """Trust, activity and capabilities, empty as a new agent's are."""
        return {
            "trust": {
                "level": self.level,
                "levelName": LEVELS[self.level],
                "onChainIdentity": False,
                "reputationScore": None,
                "reputationCount": 0,
            },
            "activity": {
                "lastActiveAt": None,
                "hasCheckedIn": False,
                "hasInboxMessages": False,
                "unreadInboxCount": 0,
                "sentCount": 0,
            },
            "capabilities": ["heartbeat", "inbox", "x402"] if self.level >= 1 else [],
        }


class RegistrationError(ValueError):
    """A registration that cannot be; the message says why."""


class Registry:
    """All agents by Stacks address; `dirty` names what to save."""

    def __init__(self, agents_max: int) -> None:
        self._by_stx: dict[str, Agent] = {}
        self._by_btc: dict[str, str] = {}
        self._agents_max = agents_max
        self.dirty: set[str] = set()

    def register(
        self, btc_address: str, stx_address: str, level: int, verified_at: str, name: str | None = None
    ) -> Agent:
        """Registers a pair or changes its level; a key in another pair is refused, as at the real registry."""
        stx, btc = stacks_mainnet(stx_address), bitcoin_mainnet(btc_address)
        if stx is None:
            raise RegistrationError("stxAddress is no Stacks address")
        if btc is None or not btc.startswith(("bc1q", "bc1p")):
            raise RegistrationError("btcAddress is no bc1q or bc1p address")
        if not 0 <= level < len(LEVELS):
            raise RegistrationError("level is 0, 1 or 2")
        if name is not None and not 1 <= len(name) <= 60:
            raise RegistrationError("displayName has 1 to 60 characters")
        if self._by_btc.get(btc, stx) != stx or (stx in self._by_stx and self._by_stx[stx].btc_address != btc):
            raise RegistrationError("one of the addresses is registered in another pair")
        if stx not in self._by_stx and len(self._by_stx) >= self._agents_max:
            raise RegistrationError("the registry is full")
        agent = Agent(stx, btc, name or display_name(btc)[0], level, verified_at)
        self.restore(agent)
        self.dirty.add(stx)
        return agent

    def restore(self, agent: Agent) -> None:
        """Puts a stored agent back."""
        self._by_stx[agent.stx_address] = agent
        self._by_btc[agent.btc_address] = agent.stx_address

    def document(self, stx_address: str) -> JsonObject:
        """The stored form of an agent."""
        return asdict(self._by_stx[stx_address])

    def agents(self) -> list[Agent]:
        """All agents in order of registration."""
        return list(self._by_stx.values())

    def find(self, text: str) -> tuple[str, Agent | None]:
        """The class of an identifier (stx, btc, taproot, bns, numeric, display-name) and the agent it names."""
        stx = stacks_mainnet(text)
        if stx is not None:
            return "stx", self._by_stx.get(stx)
        btc = bitcoin_mainnet(text)
        if btc is not None:
            kind = "taproot" if btc.startswith("bc1p") else "btc"
            return kind, self._by_stx.get(self._by_btc.get(btc, ""))
        if text.isdigit():
            return "numeric", None
        if text.lower().endswith(".btc"):
            return "bns", None
        wanted = text.lower()
        return "display-name", next((a for a in self._by_stx.values() if a.display_name.lower() == wanted), None)


def verify_page(registry: Registry, text: str) -> tuple[int, JsonObject]:
    """GET /api/verify/{address}: status and body."""
    kind, agent = registry.find(text)
    types = {"stx": "stx", "btc": "bc1q", "taproot": "bc1p"}
    if kind not in types:
        error = "Invalid address format. Use SP..., bc1q... or bc1p..."
        return 400, {"registered": False, "address": text[:100], "addressType": None, "error": error}
    head: JsonObject = {"address": text, "addressType": types[kind]}
    if agent is None:
        return 404, {"registered": False, **head, "error": "Agent not found. Register at POST /api/register."}
    return 200, {"registered": True, **head, "agent": agent.public(), **agent.standing}


def agent_page(registry: Registry, text: str) -> tuple[int, JsonObject]:
    """GET /api/agents/{address}: status and body."""
    kind, agent = registry.find(text)
    head: JsonObject = {"address": text[:100], "addressType": kind}
    if agent is None or kind == "display-name":
        steps = [{"action": "Register", "endpoint": "POST /api/register"}]
        return 404, {"found": False, **head, "error": "Agent not found", "nextSteps": steps}
    keys = {"taprootAddress": None, "stxPublicKey": None, "btcPublicKey": None}
    more = {"checkIn": None, **agent.standing, **agent.enrichment}
    return 200, {"found": True, **head, "agent": {**agent.public(), **keys}, **more}


def resolve_page(registry: Registry, text: str) -> tuple[int, JsonObject]:
    """GET /api/resolve/{identifier}: status and body."""
    kind, agent = registry.find(text)
    head: JsonObject = {"identifier": text[:100], "identifierType": kind}
    if agent is None:
        return 404, {"found": False, **head, "error": "Agent not found", "lookup": f"/api/agents/{quote(text[:100])}"}
    identity = {
        "stxAddress": agent.stx_address,
        "btcAddress": agent.btc_address,
        "taprootAddress": None,
        "displayName": agent.display_name,
        "bnsName": None,
        "agentId": None,
        "caip19": None,
    }
    following = agent.standing["nextLevel"]
    return 200, {"found": True, **head, "identity": identity, **agent.enrichment, "nextLevel": following}
