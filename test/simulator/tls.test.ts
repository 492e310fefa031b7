// The TLS listener: its own authority, or a certificate somebody brings; and state files of before.

import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSimulator } from '../../simulator/server.ts';
import { postSecurely } from './merchant_tls.ts';
import { openWorld } from './world.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'simulator-tls-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('the authority', () => {
  it('issues what the configuration holds, and is the same for the same seed', async () => {
    const [one, two] = [await openWorld({ seed: 'same' }), await openWorld({ seed: 'same' })];
    expect(one.config.ca_pem).toBe(two.config.ca_pem);
    expect(one.merchant.merchant_p12_base64).toBe(two.merchant.merchant_p12_base64);
    const ca = new X509Certificate(one.config.ca_pem);
    expect(ca.ca).toBe(true);
    for (const pem of [one.merchant.merchant_cert_pem, one.merchant.platform_cert_pem]) {
      const certificate = new X509Certificate(pem);
      expect(certificate.checkIssued(ca)).toBe(true);
      expect(certificate.verify(ca.publicKey)).toBe(true);
    }
    await one.close();
    await two.close();
  });
});

describe('the listener', () => {
  it('is not believed by a client that trusts another authority', async () => {
    const [one, two] = [await openWorld({ seed: 'one' }), await openWorld({ seed: 'two' })];
    const sent = postSecurely(`${one.config.tls_url}/pay/orderquery`, '<xml/>', two.config.ca_pem, undefined);
    await expect(sent).rejects.toThrow();
    await one.close();
    await two.close();
  });

  it('serves a certificate from files', async () => {
    const maker = await openWorld({ seed: 'maker' });
    const other = maker.simulator.platform.keyring.serverCertificate(['127.0.0.1']);
    await writeFile(join(folder, 'cert.pem'), other.cert_pem);
    await writeFile(join(folder, 'key.pem'), other.key_pem);
    const w = await openWorld({
      tls_cert_file: join(folder, 'cert.pem'),
      tls_key_file: join(folder, 'key.pem'),
    });
    const answer = await postSecurely(
      `${w.config.tls_url}/pay/orderquery`,
      '',
      maker.config.ca_pem,
      undefined,
    );
    expect(answer.fields.return_code).toBe('FAIL');
    await w.close();
    await maker.close();
    await expect(startSimulator({ tls_cert_file: join(folder, 'cert.pem') })).rejects.toThrow(/together/);
  });
});

describe('memory', () => {
  it('opens a state file from before there were refunds and modes', async () => {
    const state_file = join(folder, 'state.json');
    const first = await openWorld({ state_file });
    const { out_trade_no } = await first.place();
    await first.pay({ out_trade_no });
    await first.close();
    const state = JSON.parse(await readFile(state_file, 'utf8'));
    delete state.refunds;
    for (const merchant of state.merchants) delete merchant.mode;
    await writeFile(state_file, JSON.stringify(state));
    const second = await openWorld({ state_file });
    const made = await second.control('POST', 'refund', { out_trade_no });
    expect(made).toMatchObject({ status: 200, body: { state: 'PROCESSING' } });
    await second.close();
    const third = await openWorld({ state_file });
    await third.advance(5);
    expect((await third.control('GET', 'ledger')).body.refunded_fen).toBe(1288);
    await third.close();
  });
});
