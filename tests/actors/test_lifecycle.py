"""The rules of life and money, one behaviour each, in virtual time."""

from actors.wallet import commands as c
from actors.wallet.state import Phase, Plan
from tests.actors.harness import POLICY, RATE, World

SAT = 1_000_000


def test_a_confirmed_create_starts_and_burns_by_the_second() -> None:
    world = World().alive(100)
    world.pass_ms(10_500)
    world.ask(c.Checkpoint())

    assert world.state.accounts.bucket == 100 * SAT - 10_500_000
    assert world.state.accounts.burnt == 10_500_000


def test_nothing_is_charged_before_the_sandbox_is_healthy() -> None:
    world = World()
    world.create()
    world.ask(c.Deposit("pay_1", "SPpayer", 100 * SAT, "tx", "sBTC"))
    assert world.state.phase is Phase.STARTING
    world.pass_ms(5_000)
    world.run_effects()
    world.ask(c.Checkpoint())

    assert world.state.phase is Phase.ALIVE
    assert world.state.accounts.burnt == 0


def test_a_dry_bucket_enters_grace_at_the_exact_millisecond_whenever_the_alarm_fires() -> None:
    prompt, late = World().alive(100), World().alive(100)
    prompt.pass_ms(100_000)
    prompt.tick()
    late.pass_ms(130_000)
    late.tick()

    assert prompt.state.phase is late.state.phase is Phase.GRACE
    assert prompt.state.grace == late.state.grace
    assert prompt.state.accounts.bucket == 0


def test_grace_ends_in_a_reap_and_is_charged_no_further_than_its_deadline() -> None:
    world = World().alive(100)
    world.pass_ms(100_000 + 60_000 + 7_000)  # the alarm comes 7 s late: that is our time, not the wallet's
    world.tick()

    assert world.state.phase is Phase.REAPED
    assert world.state.reason == "credit_exhausted"
    assert world.state.accounts.debt_usat == 60 * SAT
    assert world.state.snapshot_digest == "sha256:w"


def test_a_deposit_in_grace_pays_arrears_first_and_brings_it_back() -> None:
    world = World().alive(100)
    world.pass_ms(130_000)
    world.tick()
    world.deposit(100, "pay_2")

    assert world.state.phase is Phase.ALIVE
    assert world.state.accounts.debt_usat == 0
    assert world.state.accounts.bucket == 70 * SAT


def test_a_payment_in_the_mempool_stretches_grace_up_to_the_cap() -> None:
    world = World().alive(100)
    world.pass_ms(100_000)
    world.tick()
    for _ in range(200):
        world.see("pay_slow", "mempool", 10_000)
        world.pass_ms(4_000)
        world.tick()
        if world.state.phase is Phase.REAPED:
            break

    assert world.state.phase is Phase.REAPED
    assert world.state.accounts.debt_usat == 600 * SAT  # the cap: ten minutes after grace began


def test_a_stale_sight_of_a_payment_stretches_nothing() -> None:
    world = World().alive(100)
    world.pass_ms(100_000)
    world.tick()
    world.pass_ms(50_000)
    world.see("pay_old", "mempool", 10_000, age_ms=15_001)
    world.pass_ms(11_000)
    world.tick()

    assert world.state.phase is Phase.REAPED


def test_a_queued_payment_stretches_nothing() -> None:
    world = World().alive(100)
    world.pass_ms(100_000)
    world.tick()
    world.pass_ms(50_000)
    world.see("pay_q", "queued", 10_000)
    world.pass_ms(11_000)
    world.tick()

    assert world.state.phase is Phase.REAPED


def test_a_small_pending_payment_buys_no_more_grace_than_it_pays_for() -> None:
    """Free-riding: one sat in the mempool must not hold a sandbox for ten minutes."""
    world = World().alive(100)
    world.pass_ms(100_000)
    world.tick()
    world.pass_ms(59_000)
    world.see("pay_tiny", "mempool", 1)
    world.pass_ms(2_000)
    world.tick()

    assert world.state.phase is Phase.REAPED
    assert world.state.accounts.debt_usat <= 61 * SAT


def test_a_pending_create_starts_in_grace_and_its_seconds_are_charged_on_confirmation() -> None:
    world = World()
    world.create()
    world.see("pay_1", "mempool", 500)
    assert world.state.phase is Phase.GRACE
    world.pass_ms(12_000)
    world.deposit(500, "pay_1")

    assert world.state.phase is Phase.ALIVE
    assert world.state.accounts.bucket == 488 * SAT
    assert world.state.accounts.burnt == 12 * SAT
    assert world.state.pending == ()


def test_a_pending_create_never_gets_more_than_was_granted() -> None:
    world = World()
    world.create()
    world.see("pay_1", "mempool", 500, granted=70)
    for _ in range(100):
        world.pass_ms(3_000)
        world.see("pay_1", "mempool", 500, granted=70)
        world.tick()

    assert world.state.phase is Phase.REAPED
    assert world.state.accounts.debt_usat == 70 * SAT


def test_a_failed_create_is_reaped_and_written_off_and_told() -> None:
    world = World()
    world.create()
    world.see("pay_1", "mempool", 500)
    world.pass_ms(12_000)
    world.see("pay_1", "failed", 500)

    assert world.state.phase is Phase.REAPED
    assert world.state.accounts.debt_usat == 0
    assert world.state.accounts.write_offs == -12 * SAT
    assert world.losses == [("pay_1", 12 * SAT)]
    assert world.state.losses == ()


def test_a_create_whose_payment_fails_only_after_the_reap_is_still_written_off() -> None:
    world = World()
    world.create()
    world.see("pay_1", "mempool", 100)
    world.pass_ms(200_000)
    world.tick()
    assert world.state.phase is Phase.REAPED
    debt = world.state.accounts.debt_usat
    assert debt > 0
    world.see("pay_1", "replaced", 100)

    assert world.state.accounts.debt_usat == 0
    assert world.losses == [("pay_1", debt)]


def test_a_deposit_is_credited_once_whatever_is_delivered_twice() -> None:
    world = World().alive(100)
    world.deposit(50, "pay_2")
    world.deposit(50, "pay_2")

    assert world.state.accounts.deposits == -150 * SAT


def test_extend_never_shortens() -> None:
    world = World().alive(100)
    world.pass_ms(10_000)
    before = world.state.accounts.bucket
    world.deposit(1, "pay_2")

    assert world.state.phase is Phase.ALIVE
    assert world.state.accounts.bucket == before + SAT


def test_a_wake_needs_arrears_plus_a_minute() -> None:
    world = World().alive(100)
    world.pass_ms(160_000)
    world.tick()
    assert (world.state.phase, world.state.accounts.debt_usat) == (Phase.REAPED, 60 * SAT)
    world.deposit(119, "pay_2")
    assert world.state.phase is Phase.REAPED
    refusal = world.ask(c.Wake()).refusal
    assert refusal is not None
    assert (refusal.code, refusal.details["missing_sats"]) == ("credit_insufficient", 1)
    world.deposit(1, "pay_3")

    assert world.state.phase is Phase.ALIVE
    assert world.state.accounts.bucket == 60 * SAT


def test_a_lost_sandbox_is_charged_to_its_last_proof_and_started_again() -> None:
    world = World().alive(1_000)
    first = world.state.runtime
    world.pass_ms(90_000)
    world.lose()
    world.pass_ms(30_000)
    world.run_effects()

    assert first is not None
    assert world.state.phase is Phase.ALIVE
    assert world.state.runtime is not None
    assert world.state.runtime.runtime_id != first.runtime_id
    assert world.state.accounts.burnt == 90 * SAT


def test_a_sandbox_that_keeps_dying_is_reaped_with_its_credit_kept() -> None:
    world = World().alive(1_000)
    for _ in range(10):
        world.pass_ms(1_000)
        world.lose()
        world.run_effects()

    assert (world.state.phase, world.state.reason) == (Phase.REAPED, "crash_loop")
    assert world.state.accounts.bucket == 1_000 * SAT - world.state.accounts.burnt


def test_a_start_that_fails_leaves_the_credit() -> None:
    world = World()
    world.create()
    world.ask(c.Deposit("pay_1", "SPpayer", 100 * SAT, "tx", "sBTC"))
    world.run_effects(fail_start=True)

    assert (world.state.phase, world.state.reason) == (Phase.REAPED, "start_failed")
    assert world.state.accounts.bucket == 100 * SAT
    assert world.events.count("start_failed") == 3


def test_time_in_which_payments_could_not_be_taken_does_not_count_against_grace() -> None:
    world = World().alive(100)
    world.pass_ms(100_000)
    world.tick()
    world.pass_ms(30_000)
    world.outage_since_ms = world.now_ms
    world.pass_ms(300_000)
    world.tick()
    assert world.state.phase is Phase.GRACE
    world.ask(c.Outage(world.outage_since_ms, world.now_ms))
    world.outage_since_ms = None
    world.pass_ms(29_000)
    world.tick()
    assert world.state.phase is Phase.GRACE
    world.pass_ms(2_000)
    world.tick()

    assert world.state.phase is Phase.REAPED


def test_a_reversed_deposit_is_owed_and_ends_in_grace() -> None:
    world = World().alive(100)
    world.pass_ms(40_000)
    world.ask(c.Reverse("pay_first", 100 * SAT))

    assert world.state.phase is Phase.GRACE
    assert world.state.accounts.deposits == 0
    assert world.state.accounts.debt_usat == 40 * SAT


def test_a_new_rate_holds_from_here_on() -> None:
    world = World().alive(100)
    world.pass_ms(10_000)
    world.ask(c.SetRate(2 * RATE))
    world.pass_ms(10_000)
    world.ask(c.Checkpoint())

    assert world.state.accounts.burnt == 30 * SAT


def test_runway_is_told_once_per_threshold() -> None:
    world = World().alive(700)
    for _ in range(699):
        world.pass_ms(1_000)
        world.tick()

    assert world.events.count("runway") == 2


def test_a_crash_after_any_commit_is_made_good_by_activation() -> None:
    world = World()
    world.create()
    world.ask(c.Deposit("pay_1", "SPpayer", 100 * SAT, "tx", "sBTC"))
    world.crash()
    world.run_effects()
    assert world.state.phase is Phase.ALIVE
    world.pass_ms(200_000)
    world.ask(c.Tick())
    assert world.state.phase is Phase.STOPPING
    world.crash()
    world.run_effects()

    assert world.state.phase is Phase.REAPED
    assert not world.node.running


def test_a_create_on_a_living_wallet_is_refused() -> None:
    refusal = World().alive(100).create().refusal

    assert refusal is not None
    assert refusal.code == "already_exists"


def test_a_payment_sent_before_the_owner_reaped_is_credited_but_starts_nothing() -> None:
    world = World()
    world.create()
    world.see("pay_1", "mempool", 500)
    world.ask(c.Reap())
    world.run_effects()
    assert world.state.phase is Phase.REAPED
    world.see("pay_1", "mempool", 500)
    world.deposit(500, "pay_1")
    assert world.state.phase is Phase.REAPED
    assert world.state.accounts.bucket == 500 * SAT
    world.deposit(1, "pay_2")

    assert world.state.phase is Phase.ALIVE


def test_every_grant_that_came_to_nothing_is_told_with_what_was_used_of_it() -> None:
    world = World().alive(100)
    world.see("pay_unused", "mempool", 70)
    world.see("pay_unused", "failed", 70)
    world.pass_ms(100_000)
    world.tick()
    for _ in range(8):
        world.see("pay_used", "mempool", 500)
        world.pass_ms(10_000)
        world.tick()
    world.ask(c.Checkpoint())
    world.see("pay_used", "failed", 500)

    # 80 s of grace, 60 of them the wallet's own
    assert world.losses == [("pay_unused", 0), ("pay_used", 20 * SAT)]
    assert world.state.accounts.debt_usat == 80 * SAT


def test_a_strangers_gift_is_credited_but_does_not_wake_what_the_owner_put_to_sleep() -> None:
    world = World().alive(500)
    world.ask(c.Reap())
    world.run_effects()
    world.see("pay_gift", "mempool", 100, payer="SPstranger")
    world.deposit(100, "pay_gift", payer="SPstranger")
    assert world.state.phase is Phase.REAPED
    assert world.state.accounts.bucket == 600 * SAT
    world.ask(c.Wake())
    world.run_effects()

    assert world.state.phase is Phase.ALIVE


def test_strangers_at_once_leave_the_owner_half_of_the_payments_that_are_followed() -> None:
    world = World().alive(500)
    for n in range(POLICY.pending_max + 10):
        world.see(f"pay_{n}", "mempool", 1, payer=f"SPstranger{n}")
    assert len(world.state.pending) == POLICY.pending_max // 2
    assert world.ask(c.Prepare("extend", None, RATE)).refusal is None
    world.see("pay_own", "mempool", 50)
    assert world.state.pending[-1].payment_id == "pay_own"
    late = f"pay_{POLICY.pending_max}"
    assert all(pending.payment_id != late for pending in world.state.pending)
    world.deposit(1, late, payer="SPstranger")
    assert world.state.accounts.bucket == 501 * SAT, "what is not followed is credited all the same"


def test_a_larger_class_brings_no_second_start_on_credit_before_the_first_is_paid() -> None:
    world = World(rate=20_000)
    world.create()
    world.see("pay_small", "mempool", 100, granted=12)
    assert world.state.phase is Phase.GRACE
    world.ask(c.Reap())
    world.run_effects()
    world.ask(c.Prepare("create", Plan("medium"), 80_000))
    world.see("pay_medium", "mempool", 100, granted=48)
    assert world.state.phase is Phase.REAPED
    world.deposit(100, "pay_small")
    assert world.state.phase is Phase.REAPED, "it was sent before the owner reaped"
    world.see("pay_medium", "mempool", 100, granted=48)
    assert world.state.phase is Phase.ALIVE, "once the first is paid, the next counts again"
