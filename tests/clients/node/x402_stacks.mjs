// x402-stacks 2.0.3 as its README shows it: requests one after another through one paying client.
// In: {gate, stacksApi, network, key, pass, requests: [{path, body, query, headers}]}
// Out: [{status, body, settled, error, signatures}], one for each request; a signature is a nonce looked up.
import { asked, input, packages, print } from './loopback.mjs';

const { createPaymentClient, getPaymentResponseFromHeaders, privateKeyToAccount } = packages('x402-stacks');
const client = createPaymentClient(privateKeyToAccount(input.key, input.network), { baseURL: input.gate });
const signatures = () => asked.filter((path) => path.endsWith('/nonces')).length;

const results = [];
for (const { path, body, query, headers } of input.requests) {
  const before = signatures();
  const result = { status: null, body: null, settled: null, error: null };
  const options = { params: query, headers: { authorization: `Bearer ${input.pass}`, ...headers } };
  try {
    const answer = await client.post(path, body, options);
    Object.assign(result, { status: answer.status, body: answer.data, settled: getPaymentResponseFromHeaders(answer) });
  } catch (error) {
    Object.assign(result, { status: error.response?.status ?? null, body: error.response?.data ?? null, error: error.message });
  }
  results.push({ ...result, signatures: signatures() - before });
}
print(results);
