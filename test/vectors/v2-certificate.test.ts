/**
 * The refund's line: mutual TLS against a real server that demands the client certificate. Root, server and client
 * certificates were made for this test and are used nowhere else; they end in 2125.
 */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { createWechatPayV2, type Ports, WechatError } from '../../lib/wechat/index.ts';
import { type ClientCertificate, fetchWithCertificate } from '../../lib/wechat/v2/certificate.ts';

const ROOT = `-----BEGIN CERTIFICATE-----
MIIBjTCCATOgAwIBAgIUfrYEbKhWtRRp+BWIYSiP5bZXA4QwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQR3VpdGFpIHRlc3Qgcm9vdDAgFw0yNjExMjMxOTI1MDJaGA8y
MTI2MTAzMDE5MjUwMlowGzEZMBcGA1UEAwwQR3VpdGFpIHRlc3Qgcm9vdDBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABMyaqrrneoQtaRrBjxAG9a2F+BQVlM4+uiL2
JGc6k69o6gUzZueUVjOWn99LfgMzvQu92C9e0ynSBEgablyTZeWjUzBRMB0GA1Ud
DgQWBBS0vqIgxUwEgXA0Zo1n1bCDs6UjaTAfBgNVHSMEGDAWgBS0vqIgxUwEgXA0
Zo1n1bCDs6UjaTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDd
FHnpfFux7yxxvq2sUK/kvPZj5Oc2yXQjGJQEs6s53gIgX3d6WzWNz+8ZWGK4by2n
gO5XiRSHliA+wlgTSzyVGy0=
-----END CERTIFICATE-----`;
const SERVER = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBjzCCATSgAwIBAgIUA5CwiCYAz6WCNLrmQ5vZi3/x6qswCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQR3VpdGFpIHRlc3Qgcm9vdDAgFw0yNjExMjMxOTI1MDNaGA8y
MTI2MTAzMDE5MjUwM1owETEPMA0GA1UEAwwGc2VydmVyMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAExZJcAY1FKIG0hkhjD1hv/8UyJXI+nHLkbgt4aljTk0C6ERd1
4g7zjAQr9JPYfeP3dqBmkKNo8bSR9fYPiVjdAqNeMFwwGgYDVR0RBBMwEYIJbG9j
YWxob3N0hwR/AAABMB0GA1UdDgQWBBTrPCKryWUI+rT3XhLzOqZRZ2y+8zAfBgNV
HSMEGDAWgBS0vqIgxUwEgXA0Zo1n1bCDs6UjaTAKBggqhkjOPQQDAgNJADBGAiEA
mP1EN5g7qNFhOS37vPtQPNxTgvIZQSfWuA1odZ9e7CsCIQCLTUux4P1biUiXDUbj
KxiqBh1xlYZdIgEKOqTmmMLLzQ==
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+74ehxoqdlq9ALVu
NRaCx89QcHmLVBc9umLg2hyaDGmhRANCAATFklwBjUUogbSGSGMPWG//xTIlcj6c
cuRuC3hqWNOTQLoRF3XiDvOMBCv0k9h94/d2oGaQo2jxtJH19g+JWN0C
-----END PRIVATE KEY-----`,
};
const CLIENT: ClientCertificate = {
  cert_pem: `-----BEGIN CERTIFICATE-----
MIIBKDCBzwIUA5CwiCYAz6WCNLrmQ5vZi3/x6qwwCgYIKoZIzj0EAwIwGzEZMBcG
A1UEAwwQR3VpdGFpIHRlc3Qgcm9vdDAgFw0yNjExMjMxOTI1MDNaGA8yMTI2MTAz
MDE5MjUwM1owETEPMA0GA1UEAwwGY2xpZW50MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEyfZTAmEkdUns551QE0rlvAevZwPjG/6VpmMU6/TiR1Ux5SEcTREnGjqT
kMs4TYYXIIEFkA/XPOL55QWZQmE27zAKBggqhkjOPQQDAgNIADBFAiEA12ibYGcO
t3qsKZi8nDcFyvhYg8Hf/e1Rzol2sTP1IV0CIDqCjKbZLnhP45nSJsc9O3BIFqz1
1KZkAcZeuIik7NAy
-----END CERTIFICATE-----`,
  key_pem: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLxZ1iYUaVrlMZGTu
CmNtzIM/v8mGCDwXKrXNeBADimqhRANCAATJ9lMCYSR1SeznnVATSuW8B69nA+Mb
/pWmYxTr9OJHVTHlIRxNEScaOpOQyzhNhhcggQWQD9c84vnlBZlCYTbv
-----END PRIVATE KEY-----`,
  ca_pem: ROOT,
};
const KEY_OF_ANOTHER = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1c3X0WA4ZQ8J/YuX
NZvJTh5OpSBaAA29YrD8WztjjpOhRANCAAQN50ShV4flLY/Wu3VLdQwbr/bLW3R6
9L1d1UebdlVH82bkWE+XLhnCI9xQCYuEwBzYKsFa/q/KY82T8uisKPPG
-----END PRIVATE KEY-----`;

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

type Handler = Parameters<typeof createServer>[1];

async function listen(handler: Handler): Promise<string> {
  const server = createServer({ ...SERVER, ca: ROOT, requestCert: true, rejectUnauthorized: true }, handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

describe('a fetch with the client certificate', () => {
  it('shows it, posts the body, and gives status, headers and body back', async () => {
    const url = await listen(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      response.writeHead(200, { 'Request-ID': '08F78BB1', 'x-type': request.headers['content-type'] ?? '' });
      response.end(`${request.method} ${request.url} ${subject.CN} ${Buffer.concat(chunks).toString()}`);
    });
    const response = await fetchWithCertificate(CLIENT)(`${url}/secapi/pay/refund?x=1`, {
      method: 'POST',
      headers: { 'content-type': 'text/xml; charset=utf-8' },
      body: '<xml>支付</xml>',
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('request-id')).toBe('08F78BB1');
    expect(response.headers.get('x-type')).toBe('text/xml; charset=utf-8');
    expect(await response.text()).toBe('POST /secapi/pay/refund?x=1 client <xml>支付</xml>');
  });

  it('keeps the line for the next call', async () => {
    const ports = new Set<number | undefined>();
    const url = await listen((request, response) => {
      ports.add(request.socket.remotePort);
      response.end('ok');
    });
    const fetch = fetchWithCertificate(CLIENT);
    for (let n = 0; n < 3; n += 1) await (await fetch(url)).text();
    expect(ports.size).toBe(1);
  });

  it('follows no redirect', async () => {
    const url = await listen((_request, response) =>
      response.writeHead(302, { location: 'https://evil/' }).end(),
    );
    expect((await fetchWithCertificate(CLIENT)(url)).status).toBe(302);
  });

  it('gives a status without a body', async () => {
    const url = await listen((_request, response) => response.writeHead(204).end());
    const response = await fetchWithCertificate(CLIENT)(url);
    expect(response.status).toBe(204);
    expect(response.body).toBeNull();
  });

  it('does not talk to a server that no known root vouches for', async () => {
    const url = await listen((_request, response) => response.end('ok'));
    const { cert_pem, key_pem } = CLIENT;
    await expect(fetchWithCertificate({ cert_pem, key_pem })(url)).rejects.toThrow(/certificate|self-signed/);
  });

  it('refuses at once a certificate with another key, and no certificate at all', () => {
    expect(() => fetchWithCertificate({ ...CLIENT, key_pem: KEY_OF_ANOTHER })).toThrow();
    expect(() => fetchWithCertificate({ ...CLIENT, cert_pem: 'apiclient_cert.pem' })).toThrow();
  });

  it('gives up before an answer when told to', async () => {
    const url = await listen(() => undefined);
    const asking = fetchWithCertificate(CLIENT)(url, { signal: AbortSignal.timeout(50) });
    await expect(asking).rejects.toThrow(/abort|timeout/i);
  });

  it('gives up in the middle of an answer when told to', async () => {
    const url = await listen((_request, response) => {
      response.writeHead(200);
      response.write('half');
    });
    const response = await fetchWithCertificate(CLIENT)(url, { signal: AbortSignal.timeout(300) });
    // What holds nothing but the limit of time must not be collected with the rest of the call.
    setFlagsFromString('--expose-gc');
    for (let times = 0; times < 3; times += 1) {
      runInNewContext('gc')();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await expect(response.text()).rejects.toThrow();
  });

  it('an answer that is cut is a failure, not a short answer', async () => {
    const url = await listen((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setTimeout(() => response.destroy(), 20);
    });
    const response = await fetchWithCertificate(CLIENT)(url);
    await expect(response.text()).rejects.toThrow();
  });

  it('an answer nobody wants to read to its end can be left', async () => {
    const url = await listen((_request, response) => response.end('x'.repeat(10_000_000)));
    const response = await fetchWithCertificate(CLIENT)(url);
    const reader = response.body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    await reader?.cancel();
  });
});

describe('the refund over that line', () => {
  const refund = { out_refund_no: 'R1', out_trade_no: 'T20250704', total_fen: 2, refund_fen: 1 };

  async function refused(base_url: string, client_certificate?: ClientCertificate): Promise<WechatError> {
    const ports: Ports = {
      fetch: globalThis.fetch,
      now: () => new Date(),
      nonce: () => 'n',
    };
    const pay = createWechatPayV2(
      {
        appid: 'wx1',
        mch_id: '1',
        api_v2_key: 'k',
        sign_type: 'MD5',
        base_url,
        ...(client_certificate === undefined ? {} : { client_certificate }),
      },
      ports,
    );
    const error = await pay.placeRefund(refund).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof WechatError)) throw new Error('no WechatError', { cause: error });
    return error;
  }

  it('goes there with the certificate', async () => {
    const url = await listen((_request, response) =>
      response.end('<xml><return_code>FAIL</return_code><return_msg>签名错误</return_msg></xml>'),
    );
    expect(await refused(url, CLIENT)).toMatchObject({ outcome: 'refused', code: 'SIGNERROR' });
  });

  it('a line that breaks leaves the refund unknown', async () => {
    const url = await listen((request) => request.socket.destroy());
    expect(await refused(url, CLIENT)).toMatchObject({ outcome: 'unknown', code: 'NO_ANSWER' });
  });
});
