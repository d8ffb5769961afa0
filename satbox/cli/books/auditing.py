"""`satbox audit`: prove the books of the service on this machine."""

from pathlib import Path

from satbox.cli.context import Context
from satbox.cli.errors import OK, REFUSED, UsageError
from satbox.cli.output import sats_text, show


def _public_key(home: Path) -> str | None:
    """The operator's own; None where the key is kept elsewhere, and signatures are not judged."""
    from cryptography.hazmat.primitives import serialization

    from satbox.audit.keys import public_key_of

    try:
        key = serialization.load_pem_private_key((home / "keys" / "operator.pem").read_bytes(), password=None)
    except OSError:
        return None
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return public_key_of(key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode())


async def audit(context: Context) -> int:
    """Walk every store under the home folder; exit 1 when anything is off."""
    from satbox.audit.home import HomeAudit
    from satbox.cli.books.checking import document_in

    home = Path(context.arguments.home or context.home)
    if not (home / "wallets").is_dir():
        raise UsageError(f"{home} is no home of a service: it has no wallets", "Name it with --home or SATBOX_HOME.")
    held = [(name, document_in(name)) for name in context.arguments.checkpoint or ()]
    report = HomeAudit(home, _public_key(home), held).run()
    if context.as_json:
        show(context, report)
        return OK if report["valid"] else REFUSED
    sums = report["sums"]
    holds = "the books hold, as far as they are proven" if report["not_proven"] else "the books hold"
    print(holds if report["valid"] else f"the books do NOT hold: {report['findings_count']} findings")
    for what in report["not_proven"]:
        print(f"  NOT PROVEN: {what}")
    for what, number in report["checked"].items():
        print(f"  {number:>12,}  {what}")
    print(f"  {sats_text(sums['money_in_usat']):>20} sats came in")
    for name, usat in {**sums["accounts_usat"], "in transit": sums["in_transit_usat"]}.items():
        if usat:
            print(f"  {sats_text(usat):>20} sats {name.replace('_', ' ')}")
    print(f"  {sats_text(sums['accounted_for_usat']):>20} sats accounted for")
    for item in report["findings"]:
        print(f"  {item['where']}: {item['rule']}: {item['what']}")
    return OK if report["valid"] else REFUSED
