"""Server-sent events (WHATWG): lines to events. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event."""

    event: str
    data: str
    id: str | None


class SseReader:
    """Collects lines until an event is whole. The last id seen stays for the next connection."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self._event = ""
        self._data: list[str] = []

    def feed(self, line: bytes) -> ServerEvent | None:
        """One line without its end; the event it completes, if any."""
        if not line:
            made = ServerEvent(self._event or "message", "\n".join(self._data), self.last_id) if self._data else None
            self._event, self._data = "", []
            return made
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self.last_id = value
        return None
