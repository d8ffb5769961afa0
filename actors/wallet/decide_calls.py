"""How wallets pay one another for calls (`design/calls.md`): set aside, paid into transit, delivered, earned."""

from dataclasses import replace

from actors.wallet import bucket
from actors.wallet import commands as c
from actors.wallet.advance import charge_proven
from actors.wallet.calls import OPERATOR, Allowance, BundledOrder, LoggedOrder, Promise, Transit, bundle_id
from actors.wallet.decide_keys import count, is_over, may_set_aside
from actors.wallet.going_on import go_on
from actors.wallet.spending_keys import key_of
from actors.wallet.state import Phase
from actors.wallet.turn import Handler, Turn

BPS = 10_000


def lapse(turn: Turn) -> None:
    """Give back what an earlier version set aside: its gates are gone, and had no logs."""
    for one in turn.state.allowances:
        if one.until_wall_ms is not None:
            _unreserve(turn, c.Unreserve(one.gate_id))
            turn.set(allowances=tuple(kept for kept in turn.state.allowances if kept.gate_id != one.gate_id))


def _set_routes(turn: Turn, command: c.SetRoutes) -> c.Refusal | None:
    if not turn.state.is_planned:
        return c.Refusal("wallet_not_found")
    if len(command.routes) > turn.policy.routes_max:
        return c.Refusal("routes_limit", {"routes_max": turn.policy.routes_max})
    if command.routes != turn.state.routes:
        turn.set(routes=command.routes)
        turn.tell("routes", count=len(command.routes))
    return None


def _allowance(turn: Turn, gate_id: str) -> Allowance | None:
    return next((one for one in turn.state.allowances if one.gate_id == gate_id), None)


def _put(turn: Turn, allowance: Allowance) -> None:
    others = tuple(one for one in turn.state.allowances if one.gate_id != allowance.gate_id)
    turn.set(allowances=(*others, allowance))


def _reserve(turn: Turn, command: c.Reserve) -> c.Refusal | None:
    """Never on credit, never from what time up to now has used already."""
    found = _allowance(turn, command.gate_id)
    if found is None and not _has_room(turn, command.gate_id):
        return c.Refusal("overloaded", {"allowances": len(turn.state.allowances)})
    has = found.usat if found is not None else 0
    if _is_late(found, command.number):
        return None  # what its gate holds to be set aside by now is not for this to change
    if command.usat > has:
        charge_proven(turn)
        most = may_set_aside(turn, command.gate_id, has, command.least_usat)
        if isinstance(most, c.Refusal):
            return most
        wanted = max(0, min(command.usat, most) - has)
        has_more = 0 if turn.state.accounts.owed else min(wanted, turn.state.accounts.bucket)
        if has + has_more < command.least_usat:
            return _too_little(turn, command.least_usat - has)
        if has_more:
            turn.post(bucket.reserve(has_more, command.gate_id))
        has += has_more
    made = found or Allowance(command.gate_id, 0)
    _put(turn, replace(made, usat=has, asked=max(made.asked, command.number)))
    return None


def _has_room(turn: Turn, gate_id: str) -> bool:
    """Whether one more allowance is kept. Each key has room of its own: as many gates as may run."""
    key_id = key_of(gate_id)
    return sum(key_of(one.gate_id) == key_id for one in turn.state.allowances) < turn.policy.allowances_max


def _is_late(found: Allowance | None, number: int) -> bool:
    return found is not None and 0 < number <= found.asked


def _too_little(turn: Turn, usat: int) -> c.Refusal:
    missing = usat - turn.state.accounts.bucket + turn.state.accounts.debt_usat
    return c.Refusal("credit_insufficient", {"missing_sats": -(-missing // 1_000_000)})


def _unreserve(turn: Turn, command: c.Unreserve) -> c.Refusal | None:
    found = _allowance(turn, command.gate_id)
    if _is_late(found, command.number):
        return None
    if command.number and (found is not None or _has_room(turn, command.gate_id)):
        # Even when nothing is set aside: a Reserve that was sent before this may be still on its way.
        found = replace(found or Allowance(command.gate_id, 0), asked=command.number)
        _put(turn, found)
    if found is not None and found.usat:
        if turn.state.phase is Phase.GRACE:
            charge_proven(turn)  # the time up to now was used without this money
        _put(turn, replace(found, usat=0))
        turn.post(bucket.unreserve(found.usat, found.gate_id))
        go_on(turn)
    _forget_if_over(turn, command.gate_id)
    return None


def _forget_if_over(turn: Turn, gate_id: str) -> None:
    turn.set(allowances=tuple(one for one in turn.state.allowances if one.gate_id != gate_id or not is_over(turn, one)))


def _post_orders(turn: Turn, command: c.PostOrders) -> c.Refusal | None:
    """A gate logs no order that its allowance does not cover, so a refusal here means that its log is not what it was.

    An order id is posted once, whatever its number and whichever gate logged it. The log refuses a repetition first; this
    holds when the log was lost. The money of a repetition stays in the allowance, and goes back with the rest of it.
    """
    found = _allowance(turn, command.gate_id) or Allowance(command.gate_id, 0)
    new = [one for one in command.orders if one.seq > found.posted_seq]
    if not new:
        return None
    first = {one.order_id: one for one in reversed(new) if one.order_id not in turn.used}
    orders = [one for one in new if first.get(one.order_id) is one]
    usat = sum(one.usat for one in orders)
    if usat > found.usat:
        return c.Refusal("order_invalid", {"reason": "more than is set aside", "gate": command.gate_id})
    payees = list(dict.fromkeys(one.payee for one in orders))
    leaving = sum(not payee.startswith(OPERATOR) for payee in payees)
    if len(turn.state.transit) + leaving > turn.policy.transit_max:
        return c.Refusal("overloaded", {"orders_in_transit": len(turn.state.transit)})
    _put(turn, replace(found, usat=found.usat - usat, posted_seq=new[-1].seq))
    turn.posted += [one.order_id for one in orders]
    count(turn, command.gate_id, usat)
    for one in new:
        if first.get(one.order_id) is not one:
            turn.tell("order_repeated", order_id=one.order_id, usat=one.usat, gate=command.gate_id)
    for payee in payees:
        _send_bundle(turn, payee, [one for one in orders if one.payee == payee])
    return None


def _send_bundle(turn: Turn, payee: str, orders: list[LoggedOrder]) -> None:
    """One entry for all that goes to one payee now: at a thousand calls a second nobody reads an entry for each."""
    usat, named = sum(one.usat for one in orders), bundle_id(orders)
    _send(turn, named, payee, usat, usat)
    if len(orders) > 1:
        seq = turn.state.seq
        turn.orders += [BundledOrder(seq, one.seq, one.order_id, one.usat) for one in orders]


def _pay_order(turn: Turn, command: c.PayOrder) -> c.Refusal | None:
    """From the bucket, into which the payment went that the order leans on."""
    refusal = _check_order(turn, command.payee, command.usat)
    if refusal is not None:
        return refusal
    charge_proven(turn)
    if turn.state.accounts.owed or turn.state.accounts.bucket < command.usat:
        return _too_little(turn, command.usat)
    _send(turn, command.order_id, command.payee, command.usat, 0)
    return None


def _check_order(turn: Turn, payee: str, usat: int) -> c.Refusal | None:
    if payee == turn.state.address or usat <= 0:
        return c.Refusal("order_invalid", {"reason": "payer and payee are one" if usat > 0 else "pays nothing"})
    if len(turn.state.transit) >= turn.policy.transit_max:
        return c.Refusal("overloaded", {"orders_in_transit": len(turn.state.transit)})
    return None


def _send(turn: Turn, order_id: str, payee: str, usat: int, reserved_usat: int) -> None:
    if payee.startswith(OPERATOR):
        turn.post(bucket.spend(usat, reserved_usat, order_id, payee))
        return
    turn.post(bucket.order(usat, reserved_usat, order_id, payee))
    turn.set(transit=(*turn.state.transit, Transit(order_id, payee, usat)))
    turn.do(c.DeliverOrders())


def _promise_order(turn: Turn, command: c.PromiseOrder) -> c.Refusal | None:
    refusal = _check_order(turn, command.payee, command.usat)
    if refusal is not None:
        return refusal
    promised = sum(one.usat for one in turn.state.promises) + command.usat
    if len(turn.state.promises) >= turn.policy.promises_max or promised > turn.policy.promised_usat_max:
        return c.Refusal("order_limit", {"promised_sats": promised // 1_000_000})
    promise = Promise(command.order_id, command.payment_id, command.payee, command.usat)
    turn.set(promises=(*turn.state.promises, promise))
    return None


def fulfil(turn: Turn, payment_id: str) -> None:
    """The payment is credited: pay what was promised on it, before anything else is paid from it."""
    for promise in [one for one in turn.state.promises if one.payment_id == payment_id]:
        turn.set(promises=tuple(one for one in turn.state.promises if one is not promise))
        if turn.state.accounts.bucket >= promise.usat:
            _send(turn, promise.order_id, promise.payee, promise.usat, 0)
        else:
            turn.tell("promise_broken", order_id=promise.order_id, usat=promise.usat, reason="credited_too_little")


def break_promises(turn: Turn, payment_id: str) -> None:
    """The payment will not come, and neither will what was promised on it."""
    for promise in [one for one in turn.state.promises if one.payment_id == payment_id]:
        turn.set(promises=tuple(one for one in turn.state.promises if one is not promise))
        turn.tell("promise_broken", order_id=promise.order_id, usat=promise.usat, reason="payment_failed")


def _orders_delivered(turn: Turn, command: c.OrdersDelivered) -> c.Refusal | None:
    """Once each: an order that is delivered leaves the state."""
    delivered = set(command.order_ids)
    for one in turn.state.transit:
        if one.order_id in delivered:
            turn.post(bucket.order_done(one.usat, one.order_id, one.payee))
    turn.set(transit=tuple(one for one in turn.state.transit if one.order_id not in delivered))
    return None


def _earn(turn: Turn, command: c.Earn) -> c.Refusal | None:
    if turn.state.phase is Phase.GRACE:
        charge_proven(turn)
    fee_usat = command.usat * turn.policy.call_fee_bps // BPS
    turn.post(bucket.earning(command.usat, fee_usat, command.order_id, command.payer))
    go_on(turn)
    return None


HANDLERS: dict[type[c.Command], Handler] = {
    c.SetRoutes: _set_routes,
    c.Reserve: _reserve,
    c.Unreserve: _unreserve,
    c.PostOrders: _post_orders,
    c.PayOrder: _pay_order,
    c.PromiseOrder: _promise_order,
    c.OrdersDelivered: _orders_delivered,
    c.Earn: _earn,
}
