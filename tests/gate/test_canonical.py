"""The quick way to canonical JSON says the same as the library, or is not taken."""

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gate.parts.receipts import canonical

LEAVES = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20)
DOCUMENTS = st.dictionaries(
    st.text(max_size=8),
    st.recursive(LEAVES, lambda of: st.dictionaries(st.text(max_size=8), of, max_size=4)),
    max_size=6,
)


@given(DOCUMENTS)
def test_canonical_json_is_rfc_8785(document: dict[str, object]) -> None:
    assert canonical(document) == rfc8785.dumps(document)


@given(
    st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), st.text(st.characters(max_codepoint=127)))
)
def test_ascii_is_written_the_same(document: dict[str, object]) -> None:
    assert canonical(document) == rfc8785.dumps(document)
