// A merchant's hand over TLS: posts with a client certificate, or without one, trusting only the given authority.

import { request } from 'node:https';
import { fromXml, type World } from './world.ts';

export type Identity = { cert: string; key: string } | { pfx: Buffer; passphrase: string };

/** What the demo merchant shows at the TLS listener. */
export function identityOf(w: World): Identity {
  return { cert: w.merchant.merchant_cert_pem, key: w.merchant.merchant_key_pem };
}

/** One POST over TLS; rejects when the server's certificate is not of `ca`. */
export function postSecurely(
  url: string,
  body: string,
  ca: string,
  identity: Identity | undefined,
): Promise<{ status: number; text: string; bytes: Buffer; fields: Record<string, string> }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', ca, ...identity, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(parts);
        const text = bytes.toString('utf8');
        resolve({ status: response.statusCode ?? 0, text, bytes, fields: fromXml(text) });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
