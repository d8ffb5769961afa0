// The version 1 client that x402-stacks 2.0.3 still carries: one request.
// In: {gate, stacksApi, network, key, pass, path, body}   Out: {status, body, error, signatures}
import { asked, input, packages, print } from './loopback.mjs';

const { createPaymentClientV1, privateKeyToAccountV1 } = packages('x402-stacks');
const client = createPaymentClientV1(privateKeyToAccountV1(input.key, input.network), { baseURL: input.gate });

const result = { status: null, body: null, error: null };
try {
  const answer = await client.post(input.path, input.body, { headers: { authorization: `Bearer ${input.pass}` } });
  Object.assign(result, { status: answer.status, body: answer.data });
} catch (error) {
  Object.assign(result, { status: error.response?.status ?? null, body: error.response?.data ?? null, error: error.message });
}
print({ ...result, signatures: asked.filter((path) => path.endsWith('/nonces')).length });
