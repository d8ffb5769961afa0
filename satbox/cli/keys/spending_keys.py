"""`satbox api-key`: make a key that spends within caps; the token stands on stdout once, and nowhere else."""

from satbox.cli.context import Context
from satbox.cli.generic import values_of
from satbox.cli.keys.key_tables import key_row
from satbox.cli.output import note, show


async def create(context: Context) -> int:
    """Make a key."""
    given = context.arguments
    values = values_of(context)
    if given.scope:
        values["scopes"] = list(dict.fromkeys(word.strip() for word in given.scope.split(",") if word.strip()))
    if given.payee:
        values["payees"] = given.payee
    if given.expires is not None:
        values["expires_seconds"] = given.expires
    async with context.client() as client:
        made = await client.api_keys_create(**values)
    if context.as_json:
        show(context, made)
        return 0
    document = made.model_dump(mode="json")
    key = document.pop("key")
    if key is not None:
        print(key)
    show(context, key_row(document))
    note(context, f"anybody who has it can spend; satbox api-key revoke {made.key_id} voids it")
    return 0
