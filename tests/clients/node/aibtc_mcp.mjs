// What the AIBTC MCP client does with a paid endpoint (protocols 3.3, 3.6), step by step: offers from the header alone, the
// first asset it can pay or the one named, its caps, deny mode with one exact post-condition, 0x hex, a payment identifier,
// never a second payment, and polling checkStatusUrl until the payment has ended.
// In: {gate, stacksApi, network, key, pass, path, body, asset, identifier, signature}
//   `signature` repeats an earlier payment instead of making one.
// Out: {status, body, settled, signature, polls: [status, ...], final}
import { decode, encode, input, packages, print } from './loopback.mjs';

const CAPS = { STX: 1_000_000n, sBTC: 10_000n };
const FEES_USTX = { STX: 1000n, sBTC: 3000n };
const IN_FLIGHT = new Set(['queued', 'broadcasting', 'mempool']);
const POLL_MS = 100;
const POLLS_MAX = 200;
const { Pc, PostConditionMode, bufferCVFromString, getAddressFromPrivateKey, makeContractCall, makeSTXTokenTransfer, noneCV,
  principalCV, someCV, uintCV } = packages('@stacks/transactions');

const kindOf = (asset) => {
  const lower = asset.trim().toLowerCase();
  if (lower === 'sbtc' || lower.endsWith('::token-sbtc') || lower.endsWith('.sbtc-token')) return 'sBTC';
  return lower === 'stx' ? 'STX' : null;
};

const send = (signature) =>
  fetch(input.gate + input.path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${input.pass}`,
      'content-type': 'application/json',
      ...(signature && { 'payment-signature': signature }),
    },
    body: JSON.stringify(input.body),
  });

async function signed(header) {
  const required = decode(header);
  const payable = required.accepts.filter((entry) => entry.network.startsWith('stacks:') && kindOf(entry.asset));
  const offer = input.asset ? payable.find((entry) => kindOf(entry.asset) === input.asset) : payable[0];
  const kind = kindOf(offer.asset);
  const amount = BigInt(offer.amount);
  if (amount > CAPS[kind]) throw new Error(`over the cap: ${amount} ${kind}`);
  const sender = getAddressFromPrivateKey(input.key, input.network);
  const memo = offer.extra?.payment_id?.slice(0, 34);
  const terms = { senderKey: input.key, network: input.network, fee: FEES_USTX[kind] };
  const [contractAddress, contractName] = offer.asset.split('.');
  const transaction =
    kind === 'STX'
      ? await makeSTXTokenTransfer({ ...terms, recipient: offer.payTo, amount, memo: memo ?? '' })
      : await makeContractCall({
          ...terms,
          contractAddress,
          contractName,
          functionName: 'transfer',
          functionArgs: [
            uintCV(amount),
            principalCV(sender),
            principalCV(offer.payTo),
            memo ? someCV(bufferCVFromString(memo)) : noneCV(),
          ],
          postConditionMode: PostConditionMode.Deny,
          postConditions: [Pc.principal(sender).willSendEq(amount).ft(offer.asset, 'sbtc-token')],
        });
  return encode({
    x402Version: 2,
    resource: required.resource,
    accepted: offer,
    payload: { transaction: '0x' + transaction.serialize() },
    extensions: { 'payment-identifier': { info: { id: input.identifier } } },
  });
}

let signature = input.signature;
if (!signature) {
  const first = await send();
  if (first.status !== 402) throw new Error(`expected 402, not ${first.status}: ${await first.text()}`);
  signature = await signed(first.headers.get('payment-required'));
}
const answer = await send(signature);
const body = await answer.json();

const polls = [];
let final = null;
if (body.checkStatusUrl) {
  const url = new URL(body.checkStatusUrl).toString();
  for (let count = 0; count < POLLS_MAX; count += 1) {
    final = await (await fetch(url, { headers: { accept: 'application/json' } })).json();
    polls.push(final.status);
    if (!IN_FLIGHT.has(final.status)) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
print({ status: answer.status, body, settled: decode(answer.headers.get('payment-response')), signature, polls, final });
