"""What anybody may see of a wallet by its address: state, balance, runway, what it owes. Never what is inside.

Any pass of any agent could read as much before there were pages; see `design/pages.md`.
"""

from pydantic import BaseModel

from actors.view import View, status
from actors.wallet.decide_payments import REAPED_BY_OWNER
from actors.wallet.metering import cost_usat
from gate.parts.services import Services
from operations.errors import SatboxError

STATE_WORDS = {
    "none": "It has no sandbox here.",
    "starting": "Its sandbox is starting.",
    "alive": "Its sandbox is running.",
    "grace": "Its credit ran out: it stops soon unless somebody pays.",
    "reaped": "It is asleep. Its files and its ledger are kept.",
}
REAPED_WORDS = {
    "requested": "Its owner put it to sleep. Its files and its ledger are kept.",
    "credit_exhausted": "It fell asleep when its credit ran out. Its files and its ledger are kept.",
    "payment_failed": "The payment it ran on failed. Its files and its ledger are kept.",
    "start_failed": "Its last start failed. Its credit is kept.",
    "crash_loop": "It crashed too often. Its files and its credit are kept.",
    "destroyed": "Its owner deleted its files. Its ledger is kept.",
}


class PublicWallet(BaseModel):
    """A wallet at one moment, as pages poll it. `wake_usat` is the credit a wake needs, arrears included."""

    address: str
    state: str
    sentence: str
    size_class: str
    is_paused: bool
    balance_usat: int
    owed_usat: int
    rate_usat_per_second: int
    plan_rate_usat_per_second: int
    seconds_left: float | None
    exhausts_at: str | None
    grace_seconds_left: float | None
    is_held_by_payment: bool
    wake_usat: int
    gift_wakes: bool
    """Whether a stranger's payment wakes it: not what its owner put to sleep. It is credited all the same."""
    version: int
    as_of: str


def public_wallet(services: Services, view: View) -> PublicWallet:
    """The wallet now. One that never was is shown as `none`, so that pages need no second case."""
    state, settings = view.state, services.settings
    now = status(view, settings.policy, services.clock.wall_ms())
    rate = state.rate_usat_per_second or settings.rates_usat_per_second["small"]
    held = now.grace is not None and now.grace.held_by_payment is not None
    sentence = STATE_WORDS[now.state]
    if now.state == "reaped" and now.reason in REAPED_WORDS:
        sentence = REAPED_WORDS[now.reason]
    if now.paused:
        sentence = "Its sandbox is frozen: it keeps its memory and runs nothing."
    if held:
        sentence = "It runs on the receipt of a payment that is on its way."
    return PublicWallet(
        address=state.address,
        state=now.state,
        sentence=sentence,
        size_class=now.size_class,
        is_paused=now.paused,
        balance_usat=now.balance_usat,
        owed_usat=now.owed_usat,
        rate_usat_per_second=now.rate_usat_per_second if now.state in ("alive", "grace") else 0,
        plan_rate_usat_per_second=rate,
        seconds_left=now.seconds_left,
        exhausts_at=now.exhausts_at,
        grace_seconds_left=now.grace.seconds_left if now.grace else None,
        is_held_by_payment=held,
        wake_usat=now.owed_usat + cost_usat(rate, settings.policy.wake_minimum_seconds),
        gift_wakes=now.state == "reaped" and now.reason != REAPED_BY_OWNER,
        version=now.version,
        as_of=now.as_of,
    )


async def last_event_ms(services: Services, view: View) -> int | None:
    """When something last happened to a wallet."""
    if not view.state.exists:
        return None
    try:
        end = (await services.system.events(view.state.address, 0, 1)).last_seq
        page = await services.system.events(view.state.address, max(0, end - 1), 1)
    except SatboxError:
        return None
    return page.events[-1].at_ms if page.events else None
