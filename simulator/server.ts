// Puts the platform together and listens. `close` leaves no timer, no socket and no file half written.

import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { billV2 } from './bill_v2.ts';
import { bridge } from './bridge.ts';
import { cashier } from './cashier.ts';
import { cgiBin } from './cgi_bin.ts';
import { clientCalls } from './client_calls.ts';
import { createClock } from './clock.ts';
import { control } from './control.ts';
import { controlCounter } from './control_counter.ts';
import { controlMerchant } from './control_merchant.ts';
import { controlMoney } from './control_money.ts';
import { controlRedpack } from './control_redpack.ts';
import { counterV2 } from './counter_v2.ts';
import { DEMO_SEED, demoState, shopSettings } from './demo.ts';
import { dispatch } from './dispatch.ts';
import { createFaults } from './faults.ts';
import { h5Gate } from './h5_gate.ts';
import type { Family } from './http.ts';
import { createIds } from './ids.ts';
import { createKeyring } from './keys.ts';
import { createLog } from './log.ts';
import { miniProgram, miniProgramControl } from './mini_program.ts';
import { createNotifier } from './notify.ts';
import { notificationV2 } from './notify_v2.ts';
import { notificationV3 } from './notify_v3.ts';
import { oauthPage, sns } from './oauth.ts';
import { pages } from './pages.ts';
import { payV2 } from './pay_v2.ts';
import { createPhone } from './phone.ts';
import type { Platform } from './platform.ts';
import { controlAccount } from './push.ts';
import { redpackV2 } from './redpack_v2.ts';
import { refundV2 } from './refund_v2.ts';
import { createRefundTimeline } from './refunds.ts';
import type { MerchantMode } from './registers.ts';
import { shorturlV2 } from './shorturl_v2.ts';
import { openStore } from './store.ts';
import { v3 } from './v3.ts';

export type SimulatorOptions = {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 0: any free port. */
  port?: number;
  /** The WeChat browser's own port; default the next after `port` when that is free, else any. */
  phone_port?: number;
  /** Where the shop is, as in http://127.0.0.1:3000; may come later through PUT /_sim/shop. */
  shop_origin?: string;
  /** Default: shop_origin + /pay/. */
  payment_directories?: string[];
  /** Default: the shop's host. An entry without a port fits every port. */
  oauth_domains?: string[];
  /** JS接口安全域名, where wx.config works. Default: the shop's host; an entry may name a path as well. */
  js_domains?: string[];
  /** Keeps the state across restarts. */
  state_file?: string;
  /** Deterministic keys and ids; without it the demo's keys are fixed and the ids random. */
  seed?: string;
  /** Enforce the doubtful rules too. */
  strict?: boolean;
  allow_any_notify_host?: boolean;
  /** The TLS listener's port; default 0: any free port. */
  tls_port?: number;
  /** PEM files of the TLS listener's certificate and key; default: made by the simulator's own authority. */
  tls_cert_file?: string;
  tls_key_file?: string;
  /** false: refunds and fund flows are taken over the plain listener too, without a client certificate. */
  certificate_required?: boolean;
  /** How long a refund is under way on the platform's clock; default 5 seconds. */
  refund_delay_s?: number;
  /** Which of WeChat's identities the demo merchant has; default public_key. */
  merchant_mode?: MerchantMode;
  /** The address for refund notifications set in the merchant's console. */
  refund_notify_url?: string;
  /** How many log entries are kept; default 2000. */
  log_size?: number;
};

export type Simulator = {
  url: string;
  /** The TLS listener, for calls that want the merchant's certificate. */
  tls_url: string;
  phone_url: string;
  /** Everything a test may want to look at from inside. */
  platform: Platform;
  close(): Promise<void>;
};

/** Starts the platform; resolves once it listens. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const host = options.host ?? '127.0.0.1';
  const origin = options.shop_origin ?? '';
  const fresh = () =>
    demoState({
      seed: options.seed ?? DEMO_SEED,
      shop_origin: origin,
      payment_directories: options.payment_directories,
      oauth_domains: options.oauth_domains,
      js_domains: options.js_domains,
      merchant_mode: options.merchant_mode,
      refund_notify_url: options.refund_notify_url,
    });
  const store = openStore(options.state_file, fresh);
  if (origin !== '') {
    Object.assign(store.state, shopSettings(origin, options));
  }
  const families: Family[] = [
    payV2,
    refundV2,
    billV2,
    shorturlV2,
    counterV2,
    redpackV2,
    h5Gate,
    v3,
    oauthPage,
    sns,
    miniProgram,
    cgiBin,
    bridge,
    control,
    controlMoney,
    controlAccount,
    controlMerchant,
    controlCounter,
    controlRedpack,
    cashier,
    clientCalls,
    miniProgramControl,
    pages,
  ];
  const platform: Platform = {
    store,
    clock: createClock(store.state),
    ids: createIds(options.seed, store.state),
    faults: createFaults(() => families.filter((f) => f.logged).flatMap((f) => Object.keys(f.doors))),
    log: createLog(options.log_size ?? 2000),
    notifier: createNotifier(() => platform, { v2: notificationV2, v3: notificationV3 }),
    refunds: createRefundTimeline(() => platform),
    keyring: createKeyring(options.seed ?? DEMO_SEED),
    strict: options.strict ?? false,
    allow_any_notify_host: options.allow_any_notify_host ?? false,
    certificate_required: options.certificate_required ?? true,
    refund_delay_s: options.refund_delay_s ?? 5,
    addresses: { url: '', tls_url: '', phone_url: '' },
    invocations: new Map(),
    reset() {
      const { drawn, next_number, shop_origin, payment_directories, oauth_domains, js_domains } = store.state;
      Object.assign(store.state, fresh(), {
        drawn,
        next_number,
        shop_origin,
        payment_directories,
        oauth_domains,
        js_domains,
      });
      platform.faults.clear();
      platform.log.clear();
      platform.invocations.clear();
      platform.notifier.forget();
      store.touch();
    },
  };

  type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  const listener = (handle: Handle) => (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response).catch((cause: unknown) => {
      if (platform.clock.closing.aborted || request.destroyed) {
        response.destroy();
        return;
      }
      console.error(`simulator: ${request.method} ${request.url} failed`, cause);
      if (!response.headersSent) response.writeHead(500, { 'Content-Type': 'text/plain' });
      response.end(`simulator fault: ${cause instanceof Error ? cause.message : String(cause)}\n`);
    });
  };
  const answering = (handle: Handle) => createServer({ keepAliveTimeout: 5000 }, listener(handle));

  const toPlatform = (request: IncomingMessage, response: ServerResponse) =>
    dispatch(platform, families, request, response);
  const phone = createPhone(platform, toPlatform);

  const servers: Server[] = [];
  const listen = async (server: Server, port: number): Promise<number> => {
    servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return (server.address() as AddressInfo).port;
  };

  async function close(): Promise<void> {
    platform.clock.close();
    for (const server of servers) server.closeAllConnections();
    await Promise.all(servers.map((s) => new Promise<void>((done) => s.close(() => done()))));
    await platform.notifier.close();
    phone.close();
    store.flush();
  }

  try {
    const port = await listen(answering(toPlatform), options.port ?? 0);
    platform.addresses.url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    const tls_port = await listen(
      createTlsServer(
        { keepAliveTimeout: 5000, ...tlsSettings(platform, host, options) },
        listener(toPlatform),
      ),
      options.tls_port ?? 0,
    );
    platform.addresses.tls_url = `https://${host.includes(':') ? `[${host}]` : host}:${tls_port}`;
    const phoneServer = answering(phone.handle);
    phoneServer.on('upgrade', phone.upgrade);
    const wanted = options.port ? options.port + 1 : 0;
    const phone_port = await listen(phoneServer, options.phone_port ?? wanted).catch((cause: unknown) => {
      if (options.phone_port !== undefined) throw cause;
      return listen(phoneServer, 0);
    });
    // By another name than the shop's, so that the phone has cookies of its own.
    const phone_host = host === '127.0.0.1' || host === '::1' || host === '0.0.0.0' ? 'localhost' : host;
    platform.addresses.phone_url = `http://${phone_host}:${phone_port}`;
  } catch (cause) {
    await close();
    throw cause;
  }
  platform.notifier.pump();
  const { url, tls_url, phone_url } = platform.addresses;
  return { url, tls_url, phone_url, platform, close };
}

/** Asks every client for a certificate of this platform's authority; who shows none is judged at the doors. */
function tlsSettings(platform: Platform, host: string, options: SimulatorOptions) {
  const { keyring } = platform;
  const { tls_cert_file, tls_key_file } = options;
  if ((tls_cert_file === undefined) !== (tls_key_file === undefined)) {
    throw new Error('a TLS certificate and its key are given together');
  }
  const asking = { requestCert: true, rejectUnauthorized: false, ca: keyring.authority().cert_pem };
  if (tls_cert_file !== undefined && tls_key_file !== undefined) {
    return { cert: readFileSync(tls_cert_file), key: readFileSync(tls_key_file), ...asking };
  }
  const hosts = [...new Set(['localhost', '127.0.0.1', '::1', host])].filter(
    (h) => h !== '0.0.0.0' && h !== '::',
  );
  const own = keyring.serverCertificate(hosts);
  return { cert: own.cert_pem, key: own.key_pem, ...asking };
}
