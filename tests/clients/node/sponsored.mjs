// A sponsored payment built by hand with @stacks/transactions 7.6: fee 0 and an empty sponsor slot, for the relay to fill.
// In: {gate, stacksApi, network, key, pass, path, body, tokenType}   Out: {status, body, settled, transaction}
import { decode, encode, input, packages, print } from './loopback.mjs';

const { Cl, Pc, PostConditionMode, getAddressFromPrivateKey, makeContractCall, makeSTXTokenTransfer } =
  packages('@stacks/transactions');

const url = `${input.gate}${input.path}?tokenType=${input.tokenType}`;
const headers = { authorization: `Bearer ${input.pass}`, 'content-type': 'application/json' };
const ask = (more) => fetch(url, { method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(input.body) });

const required = decode((await ask({})).headers.get('payment-required'));
const offer = required.accepts[0];
const sender = getAddressFromPrivateKey(input.key, input.network);
const terms = { senderKey: input.key, network: input.network, sponsored: true, fee: 0 };
const [contractAddress, contractName] = offer.asset.split('.');
const transaction = contractName
  ? await makeContractCall({
      ...terms,
      contractAddress,
      contractName,
      functionName: 'transfer',
      functionArgs: [Cl.uint(offer.amount), Cl.principal(sender), Cl.principal(offer.payTo), Cl.none()],
      postConditionMode: PostConditionMode.Deny,
      postConditions: [Pc.principal(sender).willSendEq(offer.amount).ft(offer.asset, 'sbtc-token')],
    })
  : await makeSTXTokenTransfer({ ...terms, recipient: offer.payTo, amount: offer.amount });

const payload = {
  x402Version: 2,
  resource: required.resource,
  accepted: offer,
  payload: { transaction: transaction.serialize() },
};
const answer = await ask({ 'payment-signature': encode(payload) });
print({
  status: answer.status,
  body: await answer.json(),
  settled: decode(answer.headers.get('payment-response')),
  transaction: payload.payload.transaction,
});
