// What a page asks of a browser wallet (Leather, Xverse and their like), through @stacks/connect: addresses, one signed
// transfer that the wallet does not broadcast, and both signatures over a challenge.
import { DEFAULT_PROVIDERS, request } from "@stacks/connect";
import { getInstalledProviders, getProviderFromId } from "@stacks/connect-ui";
import {
  Cl,
  deserializeTransaction,
  makeUnsignedContractCall,
  makeUnsignedSTXTokenTransfer,
  Pc,
  PostConditionMode,
} from "@stacks/transactions";

const OPTIONS = { enableLocalStorage: false, persistWalletSelect: false };
const MEMO = "satbox";

/** The wallets this browser has: [{ id, name }]. */
export function installed() {
  return getInstalledProviders(DEFAULT_PROVIDERS).map(({ id, name }) => ({ id, name }));
}

function ask(id, method, params) {
  const provider = getProviderFromId(id);
  if (!provider) throw new Error("This wallet is not there any more.");
  return request({ ...OPTIONS, provider }, method, params);
}

/** The wallet's first Stacks address on the network, and its Bitcoin addresses, each with its public key where it tells one. */
export async function addresses(id, network) {
  const { addresses: all } = await ask(id, "getAddresses", { network });
  const prefixes = network === "mainnet" ? ["SP", "SM"] : ["ST", "SN"];
  const stacks = all.find((entry) => prefixes.some((prefix) => entry.address.startsWith(prefix)));
  if (!stacks) throw new Error(`The wallet shows no Stacks address of ${network}. Switch its network, and try again.`);
  const bitcoin = all.filter((entry) => !entry.address.startsWith("S"));
  return { stacks, bitcoin };
}

/**
 * An offer of a 402, paid: the signed transaction in hex. `offer` has asset, amount, payTo and assetName (null for STX).
 * The transfer carries the one post-condition that exactly `amount` leaves the payer, in deny mode; its fee is the sponsor's.
 */
export async function signTransfer(id, { network, offer, payer, publicKey, nonce }) {
  const common = { nonce: BigInt(nonce), fee: 0n, network, publicKey, sponsored: true };
  const amount = BigInt(offer.amount);
  let unsigned;
  if (offer.assetName === null) {
    unsigned = await makeUnsignedSTXTokenTransfer({ ...common, recipient: offer.payTo, amount, memo: MEMO });
  } else {
    const [contractAddress, contractName] = offer.asset.split(".");
    unsigned = await makeUnsignedContractCall({
      ...common,
      contractAddress,
      contractName,
      functionName: "transfer",
      functionArgs: [Cl.uint(amount), Cl.principal(payer), Cl.principal(offer.payTo), Cl.some(Cl.bufferFromUtf8(MEMO))],
      postConditionMode: PostConditionMode.Deny,
      postConditions: [Pc.principal(payer).willSendEq(amount).ft(offer.asset, offer.assetName)],
      validateWithAbi: false,
    });
  }
  const signed = await ask(id, "stx_signTransaction", { transaction: unsigned.serialize(), broadcast: false });
  const hex = String(signed.transaction ?? "").replace(/^0x/, "");
  if (deserializeTransaction(hex).payload.payloadType !== unsigned.payload.payloadType) {
    throw new Error("The wallet signed something else.");
  }
  return hex;
}

/** Both signatures over a challenge of the gate. Leather and Xverse name the Bitcoin message's form differently; both are sent. */
export async function signChallenge(id, challenge, bitcoin) {
  const message = Cl.deserialize(challenge.message_hex);
  const domain = Cl.deserialize(challenge.domain_hex);
  const stacks = await ask(id, "stx_signStructuredMessage", { message, domain });
  const isTaproot = /^(bc|tb)1p/.test(bitcoin.address);
  const signed = await ask(id, "signMessage", {
    address: bitcoin.address,
    message: challenge.text,
    paymentType: isTaproot ? "p2tr" : "p2wpkh",
    protocol: "BIP322",
  });
  return { stacks: stacks.signature.replace(/^0x/, ""), bitcoin: signed.signature };
}
