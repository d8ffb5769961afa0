// Names that others chose, shown so that nothing in them hides: the escapes of operations/plain_text.py, line ends, and spaces
// that nobody would see. Only what is shown: requests take a name as it is.
const HIDDEN = /[\x00-\x1f\x7f-\xa0\u061c\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff\ud800-\udfff]/gu;
const NAMED = { "\n": "\\n", "\t": "\\t" };

function escaped(letter) {
  const number = letter.codePointAt(0);
  return NAMED[letter] ?? (number <= 0x20 ? `\\x${number.toString(16).padStart(2, "0")}` : `\\u${number.toString(16).padStart(4, "0")}`);
}

export function visible(text) {
  return text.replace(HIDDEN, escaped).replace(/^ +| +$/g, (spaces) => "\\x20".repeat(spaces.length));
}

/** A word of a command for a shell. */
export function quoted(text) {
  return /^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
