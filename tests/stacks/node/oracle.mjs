// stacks.js as an oracle: one JSON question a line on stdin, one JSON answer a line on stdout.
// An answer is {ok: result} or {error: text}. Integers travel as decimal text, bytes as hex without 0x.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../node/package.json", import.meta.url));
const tx = require("@stacks/transactions");
const { hashMessage, verifyMessageSignatureRsv } = require("@stacks/encryption");
const { c32address, c32addressDecode } = require("c32check");

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => new Uint8Array(Buffer.from(text, "hex"));
const { Cl } = tx;

// Clarity values

const CV = {
  int: (v) => Cl.int(BigInt(v)),
  uint: (v) => Cl.uint(BigInt(v)),
  buffer: (v) => Cl.buffer(bytes(v)),
  bool: (v) => Cl.bool(v),
  principal: (v) => Cl.principal(v),
  ok: (v) => Cl.ok(value(v)),
  err: (v) => Cl.error(value(v)),
  none: () => Cl.none(),
  some: (v) => Cl.some(value(v)),
  list: (v) => Cl.list(v.map(value)),
  tuple: (v) => Cl.tuple(Object.fromEntries(v.map(([name, inner]) => [name, value(inner)]))),
  "string-ascii": (v) => Cl.stringAscii(v),
  "string-utf8": (v) => Cl.stringUtf8(v),
};
const value = ({ type, value: inner }) => CV[type](inner);
const argument = (cv) => ({ clarity: tx.cvToString(cv), hex: tx.serializeCV(cv) });

// Transactions: building

function postCondition(c) {
  const address = c.principal;
  const condition = { equal: "eq", greater: "gt", greater_or_equal: "gte", less: "lt", less_or_equal: "lte" }[c.condition];
  switch (c.kind) {
    case "stx": return { type: "stx-postcondition", address, condition, amount: c.amount };
    case "fungible": return { type: "ft-postcondition", address, condition, amount: c.amount, asset: c.asset };
    case "non_fungible": {
      const how = { sent: "sent", not_sent: "not-sent", maybe_sent: "maybe-sent" }[c.condition];
      return { type: "nft-postcondition", address, condition: how, asset: c.asset, assetId: value(c.value) };
    }
    case "staking": return { type: "staking-postcondition", address, condition, amount: c.amount };
    case "pox": {
      const how = { will_not: "will-not-perform", may: "may-perform", will: "will-perform" }[c.condition];
      return { type: "pox-postcondition", address, condition: how };
    }
  }
}

function payload(p) {
  switch (p.kind) {
    case "token_transfer": return tx.createTokenTransferPayload(p.recipient, BigInt(p.amount), p.memo);
    case "contract_call": {
      const [address, name] = p.contract.split(".");
      return tx.createContractCallPayload(address, name, p.function, p.args.map(value));
    }
    case "smart_contract": return tx.createSmartContractPayload(p.name, p.code);
    case "versioned_smart_contract": return tx.createSmartContractPayload(p.name, p.code, p.clarity_version);
    case "coinbase": return tx.createCoinbasePayload(bytes(p.data));
    case "coinbase_to_alt_recipient": return tx.createCoinbasePayload(bytes(p.data), Cl.principal(p.recipient));
    case "nakamoto_coinbase": {
      const to = p.recipient === null ? Cl.none() : Cl.some(Cl.principal(p.recipient));
      return tx.createNakamotoCoinbasePayload(bytes(p.data), to, bytes(p.vrf_proof));
    }
    case "tenure_change":
      return tx.createTenureChangePayload(
        p.tenure_hash, p.previous_tenure_hash, p.burn_view_hash, p.previous_tenure_end, p.previous_tenure_blocks,
        p.cause, p.public_key_hash,
      );
  }
}

async function build(spec) {
  const keys = spec.keys.map((key) => ({ ...key, public: tx.privateKeyToPublic(key.secret) }));
  const nonce = BigInt(spec.nonce), fee = BigInt(spec.fee);
  const isSingle = spec.hash_mode === 0 || spec.hash_mode === 2;
  const condition = isSingle
    ? tx.createSingleSigSpendingCondition(spec.hash_mode, keys[0].public, nonce, fee)
    : tx.createMultiSigSpendingCondition(spec.hash_mode, spec.signatures_required, keys.map((k) => k.public), nonce, fee);
  const made = new tx.StacksTransactionWire({
    network: spec.network,
    auth: spec.sponsor || spec.sponsored ? tx.createSponsoredAuth(condition) : tx.createStandardAuth(condition),
    payload: payload(spec.payload),
    postConditions: tx.createLPList(spec.post_conditions.map((c) => tx.postConditionToWire(postCondition(c)))),
    postConditionMode: spec.post_condition_mode,
  });
  made.anchorMode = spec.anchor_mode;
  const signer = new tx.TransactionSigner(made);
  for (const key of keys) {
    if (key.signs) signer.signOrigin(key.secret);
    else signer.appendOrigin(key.public);
  }
  if (!spec.sponsor) return { hex: made.serialize(), txid: made.txid() };
  if (!isSingle) {
    // sponsorTransaction refuses a fully signed multi-signature origin; these are its own steps without that check.
    const secret = spec.sponsor.secret;
    const slot = [tx.AddressHashMode.P2PKH, tx.privateKeyToPublic(secret), BigInt(spec.sponsor.nonce), BigInt(spec.sponsor.fee)];
    made.setSponsor(tx.createSingleSigSpendingCondition(...slot));
    made.signNextSponsor(made.verifyOrigin(), secret);
    return { hex: made.serialize(), txid: made.txid() };
  }
  const sponsored = await tx.sponsorTransaction({
    transaction: made,
    sponsorPrivateKey: spec.sponsor.secret,
    fee: BigInt(spec.sponsor.fee),
    sponsorNonce: BigInt(spec.sponsor.nonce),
    network: spec.network,
  });
  return { hex: sponsored.serialize(), txid: sponsored.txid() };
}

// Transactions: reading

const MODES = { 0: "p2pkh", 1: "p2sh", 2: "p2wpkh_p2sh", 3: "p2wsh_p2sh", 5: "p2sh_non_sequential", 7: "p2wsh_p2sh_non_sequential" };
const COMPARISONS = { 1: "equal", 2: "greater", 3: "greater_or_equal", 4: "less", 5: "less_or_equal" };
const address = (a) => c32address(a.version, a.hash160);

function readCondition(c, network, error) {
  const single = c.hashMode === 0;
  const version = network === "mainnet" ? (single ? 22 : 20) : (single ? 26 : 21);
  const read = {
    address: c32address(version, c.signer), nonce: `${c.nonce}`, fee: `${c.fee}`, signature_valid: error === null,
    hash_mode: MODES[c.hashMode],
  };
  if (tx.isSingleSig(c)) {
    return { ...read, key_encoding: c.keyEncoding === 0 ? "compressed" : "uncompressed", signature: c.signature.data };
  }
  read.signatures_required = `${c.signaturesRequired}`;
  read.fields = c.fields.map((f) => {
    const isKey = f.contents.type === tx.StacksWireType.PublicKey;
    return {
      kind: isKey ? "public_key" : "signature", compressed: f.pubKeyEncoding === 0,
      data: isKey ? tx.compressPublicKey(f.contents.data) : f.contents.data,
    };
  });
  return read;
}

function readPrincipal(p) {
  if (p.prefix === 1) return "origin";
  return p.prefix === 2 ? address(p.address) : `${address(p.address)}.${p.contractName.content}`;
}

function readPostCondition(c) {
  const read = { principal: readPrincipal(c.principal) };
  if (c.asset) read.asset = `${address(c.asset.address)}.${c.asset.contractName.content}::${c.asset.assetName.content}`;
  switch (c.conditionType) {
    case 2:
      return { ...read, kind: "non_fungible", condition: { 16: "sent", 17: "not_sent", 18: "maybe_sent" }[c.conditionCode], value: argument(c.assetName) };
    case 4:
      return { ...read, kind: "pox", condition: { 48: "will_not", 49: "may", 50: "will" }[c.conditionCode] };
    default:
      return { ...read, kind: { 0: "stx", 1: "fungible", 3: "staking" }[c.conditionType], condition: COMPARISONS[c.conditionCode], amount: `${c.amount}` };
  }
}

const CAUSES = ["block_found", "extended", "extended_runtime", "extended_read_count", "extended_read_length", "extended_write_count", "extended_write_length"];

function readPayload(p) {
  const T = tx.PayloadType;
  switch (p.payloadType) {
    case T.TokenTransfer:
      return { kind: "token_transfer", recipient: p.recipient.value, amount: `${p.amount}`, memo: p.memo.content };
    case T.ContractCall:
      return {
        kind: "contract_call", contract: `${address(p.contractAddress)}.${p.contractName.content}`,
        function: p.functionName.content, args: p.functionArgs.map(argument),
      };
    case T.SmartContract:
      return { kind: "smart_contract", name: p.contractName.content, clarity_version: null, code: p.codeBody.content };
    case T.VersionedSmartContract:
      return { kind: "versioned_smart_contract", name: p.contractName.content, clarity_version: `${p.clarityVersion}`, code: p.codeBody.content };
    case T.Coinbase:
      return { kind: "coinbase", data: hex(p.coinbaseBytes), recipient: null };
    case T.CoinbaseToAltRecipient:
      return { kind: "coinbase_to_alt_recipient", data: hex(p.coinbaseBytes), recipient: p.recipient.value };
    case T.NakamotoCoinbase:
      return { kind: "nakamoto_coinbase", data: hex(p.coinbaseBytes), recipient: p.recipient?.value ?? null, vrf_proof: hex(p.vrfProof) };
    case T.TenureChange:
      return {
        kind: "tenure_change", tenure_hash: p.tenureHash, previous_tenure_hash: p.previousTenureHash,
        burn_view_hash: p.burnViewHash, previous_tenure_end: p.previousTenureEnd,
        previous_tenure_blocks: `${p.previousTenureBlocks}`, cause: CAUSES[p.cause], public_key_hash: p.publicKeyHash,
      };
    case T.PoisonMicroblock:
      return { kind: "poison_microblock" };
  }
}

/** Whether the sponsor signed, by the steps of stacks.js; it has no call of its own for that. */
function sponsorError(decoded, afterOrigin) {
  const c = decoded.auth.sponsorSpendingCondition;
  try {
    const { pubKey } = tx.nextVerification(afterOrigin, tx.AuthType.Sponsored, c.fee, c.nonce, c.keyEncoding, c.signature.data);
    const found = tx.addressFromPublicKeys(0, c.hashMode, 1, [pubKey]).hash160;
    return found === c.signer ? null : "another key";
  } catch (error) {
    return `${error}`;
  }
}

function decode({ hex: text }) {
  const decoded = tx.deserializeTransaction(text);
  const network = decoded.transactionVersion === 0 ? "mainnet" : "testnet";
  let originError = null, afterOrigin = null;
  try { afterOrigin = decoded.verifyOrigin(); } catch (error) { originError = `${error}`; }
  const sponsor = decoded.auth.sponsorSpendingCondition;
  const judged = sponsor && afterOrigin !== null && tx.isSingleSig(sponsor) ? sponsorError(decoded, afterOrigin) : "not judged";
  return {
    hex: decoded.serialize(), txid: decoded.txid(), network, chain_id: `${decoded.chainId}`,
    auth: sponsor ? "sponsored" : "standard",
    origin: readCondition(decoded.auth.spendingCondition, network, originError),
    sponsor: sponsor ? readCondition(sponsor, network, judged) : null,
    anchor_mode: { 1: "on_chain", 2: "off_chain", 3: "any" }[decoded.anchorMode],
    post_condition_mode: { 1: "allow", 2: "deny", 3: "originator" }[decoded.postConditionMode],
    post_conditions: decoded.postConditions.values.map(readPostCondition),
    payload: readPayload(decoded.payload),
  };
}

// Everything that can be asked

const OPERATIONS = {
  build, decode,
  build_value: (q) => argument(value(q.value)),
  decode_value: (q) => argument(tx.deserializeCV(q.hex)),
  address: (q) => ({ address: c32address(q.version, q.hash160), decoded: c32addressDecode(c32address(q.version, q.hash160)) }),
  parse_address: (q) => c32addressDecode(q.address),
  message_hash: (q) => hex(hashMessage(q.message)),
  sign_message: (q) => tx.signMessageHashRsv({ messageHash: hex(hashMessage(q.message)), privateKey: q.secret }),
  verify_message: (q) => verifyMessageSignatureRsv({ message: q.message, signature: q.signature, publicKey: q.public_key }),
  sign_structured: (q) => ({
    signature: tx.signStructuredData({ message: value(q.message), domain: value(q.domain), privateKey: q.secret }),
    encoded: tx.encodeStructuredData({ message: value(q.message), domain: value(q.domain) }),
  }),
  recover: (q) => tx.publicKeyFromSignatureRsv(q.hash, q.signature),
};

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await OPERATIONS[question.op](question) };
  } catch (error) {
    answer = { error: `${error?.message ?? error}` };
  }
  process.stdout.write(`${JSON.stringify(answer, (_, v) => (typeof v === "bigint" ? `${v}` : v))}\n`);
}
