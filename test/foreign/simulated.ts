// The platform as a stranger meets it: the simulator's command line in a process of its own, its configuration read
// from GET /_sim/config, and a plain door where its notifications arrive. It knows no word of the protocol; signing,
// reading and verifying is left to the clients under test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import tls from 'node:tls';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface Merchant {
  mch_id: string;
  appid: string;
  api_v2_key: string;
  api_v3_key: string;
  merchant_cert_pem: string;
  merchant_key_pem: string;
  merchant_cert_serial: string;
  merchant_p12_base64: string;
  platform_cert_pem: string;
  platform_cert_serial: string;
  platform_public_key_id: string;
  platform_public_key_pem: string;
}

export interface Config {
  base_url: string;
  tls_url: string;
  ca_pem: string;
  merchants: [Merchant];
  users: [{ openid: string }];
}

export interface Arrival {
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Reply {
  status: number;
  body: string;
}

export interface Simulated {
  config: Config;
  merchant: Merchant;
  openid: string;
  /** Where notifications are wanted; `arrivals` are those since the last `forget`. */
  notify_url: string;
  arrivals: Arrival[];
  /** How a notification is answered; HTTP 500 until a test says otherwise. */
  reply: (arrival: Arrival) => Reply | Promise<Reply>;
  /** One call to the control door; throws on anything but 200. */
  control(method: string, door: string, body?: unknown): Promise<Record<string, unknown>>;
  /** Opens the payment sheet with the parameters a client signed, and pays. */
  payInWechat(params: object): Promise<void>;
  /** Moves the platform's clock, and waits for what was due; 0 waits for what is due now. */
  advance(seconds: number): Promise<void>;
  /** Moves the clock to when today's bill can be had, and hands back today, `yyyy-MM-dd`. */
  toMorningAfter(): Promise<string>;
  forget(): Promise<void>;
  close(): Promise<void>;
}

const shop_origin = 'http://127.0.0.1:3000';

/** A number nobody used before. */
export function freshNumber(prefix: string): string {
  numbers += 1;
  return `${prefix}${Date.now()}${numbers}`;
}
let numbers = 0;

const inProject = (path: string): URL => new URL(`../../${path}`, import.meta.url);

/** Starts the simulator; afterwards this process trusts its authority, as it trusts those of the system. */
export async function startSimulated(): Promise<Simulated> {
  const door = await openDoor();
  const child = spawn(
    process.execPath,
    [
      '--import',
      pathToFileURL(fileURLToPath(inProject('scripts/die_with_parent.ts'))).href,
      fileURLToPath(inProject('simulator/main.ts')),
      ...['--port', '0', '--json', '--shop-origin', shop_origin],
    ],
    { cwd: fileURLToPath(inProject('')), stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
  );
  const ended = once(child, 'exit');
  const base_url = await Promise.race([addressOf(child.stdout), ended.then(() => undefined)]);
  if (base_url === undefined)
    throw new Error('the simulator ended before it was ready; the reason stands above');
  const config = (await (await fetch(`${base_url}/_sim/config`)).json()) as Config;
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), config.ca_pem]);

  const control = async (method: string, name: string, body?: unknown): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${base_url}/_sim/${name}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${method} /_sim/${name}: ${answer.status} ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  };
  const advance = async (seconds: number): Promise<void> => {
    await control('POST', 'clock', { advance_s: seconds });
  };
  const [merchant] = config.merchants;
  const [{ openid }] = config.users;
  return Object.assign(door.open, {
    config,
    merchant,
    openid,
    control,
    advance,
    async payInWechat(params: object) {
      const page_url = `${shop_origin}/pay/`;
      const sheet = await control('POST', 'bridge/invoke', {
        method: 'getBrandWCPayRequest',
        params,
        page_url,
        openid,
      });
      if (sheet.invocation_id === undefined) throw new Error(`no payment sheet: ${String(sheet.why)}`);
      const { invocation_id } = sheet;
      const { err_msg } = await control('POST', 'bridge/finish', { invocation_id, action: 'pay' });
      if (err_msg !== 'get_brand_wcpay_request:ok') throw new Error(`not paid: ${String(err_msg)}`);
    },
    async toMorningAfter() {
      const { now, now_ms } = (await control('GET', 'clock')) as { now: string; now_ms: number };
      const day = now.slice(0, 10);
      const morning_ms = Date.parse(`${day}T10:00:00+08:00`) + 24 * 3600_000;
      await advance(Math.ceil((morning_ms - now_ms) / 1000));
      return day;
    },
    async forget() {
      await control('POST', 'reset');
      door.open.arrivals.length = 0;
      door.open.reply = unwelcome;
    },
    async close() {
      child.kill('SIGTERM');
      await ended;
      await door.close();
    },
  });
}

async function addressOf(output: NodeJS.ReadableStream): Promise<string | undefined> {
  let printed: { simulator: string } | undefined;
  for await (const line of createInterface({ input: output })) {
    if (line === 'READY') return printed?.simulator;
    printed = JSON.parse(line) as { simulator: string };
  }
  return undefined;
}

const unwelcome = (): Reply => ({ status: 500, body: 'nobody expected this' });

async function openDoor() {
  const open: Pick<Simulated, 'arrivals' | 'reply' | 'notify_url'> = {
    notify_url: '',
    arrivals: [],
    reply: unwelcome,
  };
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const arrival = { headers: request.headers, body: Buffer.concat(parts).toString('utf8') };
    open.arrivals.push(arrival);
    try {
      const { status, body } = await open.reply(arrival);
      response.writeHead(status).end(body);
    } catch (thrown) {
      // The test sees it as a notification that was not acknowledged, and why.
      response.writeHead(500).end(String(thrown));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.notify_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/notify`;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { open, close };
}
