// One signed STX transfer in hex, as a version 1 client puts it into X-PAYMENT.
// In: {stacksApi, network, key, payTo, amount}   Out: hex
import { input, packages, print } from './loopback.mjs';

const { makeSTXTokenTransfer } = packages('@stacks/transactions');
const terms = { senderKey: input.key, network: input.network, fee: 1000 };
const transaction = await makeSTXTokenTransfer({ ...terms, recipient: input.payTo, amount: input.amount });
print(transaction.serialize());
