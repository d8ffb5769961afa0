"""Checkpoints over HTTP: open to everybody as roots, to an owner as proof, made on demand by the operator alone."""

from actors.books.heads import Head
from actors.books.merkle import root_from
from gate.parts.receipts import is_valid
from operations.models import Receipt
from tests.gate.gatehouse import OPERATOR_TOKEN, House

OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def test_an_owner_gets_proof_of_the_head_that_was_signed(house: House) -> None:
    who, other = await house.agent(), await house.agent()
    assert (await house.ask("GET", "/checkpoints")).body == {"items": [], "next_cursor": 0}
    await house.created(who)
    assert (await house.ask("GET", "/sandbox/checkpoint", who=who)).code == "checkpoint_not_found"
    await house.created(other)
    made = (await house.ask("POST", "/operator/checkpoint", headers=OPERATOR)).body
    assert (made["made"], made["rewritten"]) == (True, {})
    proof = (await house.ask("GET", "/sandbox/checkpoint", who=who)).body
    assert proof["checkpoint"] == made["checkpoint"]
    receipt = Receipt.model_validate(proof["checkpoint"])
    assert is_valid(receipt, house.services.receipts.public_key)
    said = receipt.statement
    head = Head(**proof["leaf"])
    assert (head.seq, head.head) == (house.state(who).seq, house.state(who).head)
    led = root_from(head.leaf, proof["position"], said["heads"], [bytes.fromhex(part) for part in proof["path"]])
    assert led is not None
    assert led.hex() == said["root"]
    assert not (await house.ask("POST", "/operator/checkpoint", headers=OPERATOR)).body["made"]
    listed = (await house.ask("GET", "/checkpoints")).body
    assert (listed["items"], listed["next_cursor"]) == ([made["checkpoint"]], 1)
    assert (await house.ask("GET", "/checkpoints", params={"last": "true"})).body == listed
    assert who.address not in str(listed)


async def test_only_the_operator_makes_them_and_only_the_owner_sees_a_leaf(house: House) -> None:
    who, other = await house.agent(), await house.agent()
    await house.created(who)
    assert (await house.ask("POST", "/operator/checkpoint", who=who)).code == "operator_only"
    params = {"address": who.address}
    assert (await house.ask("GET", "/sandbox/checkpoint", who=other, params=params)).code == "not_owner"
