"""What a check found: each thing that is off with its place."""

from dataclasses import dataclass, field
from typing import Any

LISTED_MAX = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is off: where (a file, a wallet, a row), which rule, and what was seen."""

    where: str
    rule: str
    what: str


@dataclass
class Findings:
    """What was looked at and what was off. Only so many are kept; all are counted."""

    items: list[Finding] = field(default_factory=list)
    count: int = 0
    checked: dict[str, int] = field(default_factory=dict)
    not_proven: list[str] = field(default_factory=list)
    """Claims that no record contradicts and no record proves."""

    def add(self, where: str, rule: str, what: str) -> None:
        """Something is off."""
        self.count += 1
        if len(self.items) < LISTED_MAX:
            self.items.append(Finding(where, rule, what[:300]))

    def looked_at(self, what: str, number: int = 1) -> None:
        """So many of these were looked at."""
        self.checked[what] = self.checked.get(what, 0) + number

    def take(self, other: "Findings") -> None:
        """Another check's, beside ours."""
        self.count += other.count
        self.items += other.items[: max(0, LISTED_MAX - len(self.items))]
        for what, number in other.checked.items():
            self.looked_at(what, number)
        self.not_proven += other.not_proven

    @property
    def is_clean(self) -> bool:
        """Whether nothing is off."""
        return self.count == 0

    def document(self) -> dict[str, Any]:
        """As data."""
        return {
            "valid": self.is_clean,
            "checked": dict(self.checked),
            "findings": [{"where": f.where, "rule": f.rule, "what": f.what} for f in self.items],
            "findings_count": self.count,
            "not_proven": list(self.not_proven),
        }
