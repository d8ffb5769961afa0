// Where a wallet's numbers are at a moment after they were read: each moves along a line.

export function at({ state, balance, owed, burnt, burn, seconds, at: readMs }, nowMs) {
  const passed = Math.max(0, (nowMs - readMs) / 1000);
  const due = burn * passed;
  return {
    balance: Math.max(0, balance - due),
    owed: state === "grace" ? owed + Math.max(0, due - balance) : owed, // in grace what it burns is owed once the credit is gone
    burnt: burnt + due,
    seconds: seconds === null ? null : Math.max(0, seconds - passed),
  };
}
