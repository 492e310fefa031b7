// What the official account pushes to its server: the check of the address, messages and events, plain, encrypted, or
// both; three tries of five seconds each. It calls only this machine unless allowed to, and believes no answer but
// WeChat's own three.

import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { BadRequest, bodyOf, guarded, text } from './control.ts';
import { type Answer, type Call, type Family, json } from './http.ts';
import type { Platform } from './platform.ts';
import type { Account, Official } from './registers.ts';

const TRIES = 3;
const ANSWER_WITHIN_MS = 5000;
const MODES = ['plain', 'compatible', 'safe'] as const;
/** Ways in which a push can be somebody else's. */
const TAMPERS = ['signature', 'body', 'appid', 'no_signature'] as const;

type Mode = Official['server_mode'];
type Tamper = (typeof TAMPERS)[number];

export type Pushed = {
  openid?: string | undefined;
  /** Of the message; ToUserName, FromUserName and CreateTime are added. */
  fields?: Record<string, string>;
  /** The whole XML, in place of the fields. */
  xml?: string | undefined;
  mode?: Mode | undefined;
  url?: string | undefined;
  tamper?: Tamper | undefined;
};

type Attempt = { status?: number; answer?: string; took_ms: number; accepted: boolean; why: string };

const sha1 = (...parts: string[]): string => createHash('sha1').update(parts.sort().join('')).digest('hex');

/** One message as WeChat seals it: 16 random bytes, length, message, appid, padded to 32, AES-256-CBC. */
export function seal(account: Account, message: string, appid: string): string {
  const key = Buffer.from(`${account.encoding_aes_key}=`, 'base64');
  const body = Buffer.from(message, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const plain = Buffer.concat([randomBytes(16), length, body, Buffer.from(appid, 'utf8')]);
  const missing = 32 - (plain.length % 32);
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16));
  cipher.setAutoPadding(false);
  return Buffer.concat([
    cipher.update(Buffer.concat([plain, Buffer.alloc(missing, missing)])),
    cipher.final(),
  ]).toString('base64');
}

function accountOf(platform: Platform): Account {
  const [account] = platform.store.state.accounts;
  if (account === undefined) throw new BadRequest('there is no official account');
  return account;
}

function serverUrl(platform: Platform, given: string | undefined): URL {
  const { official, shop_origin } = platform.store.state;
  const url = given ?? (official.server_url || (shop_origin && `${shop_origin}/api/wechat/server`));
  if (!URL.canParse(url))
    throw new BadRequest('no server address is set: PUT /_sim/account {"server_url":…}');
  const { hostname } = new URL(url);
  const here = hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  if (!here && !platform.allow_any_notify_host) {
    throw new BadRequest(`${hostname} is not this machine; start with --allow-any-notify-host to push there`);
  }
  return new URL(url);
}

function signed(platform: Platform, account: Account, url: URL, tamper: Tamper | undefined): URL {
  const target = new URL(url);
  // Of the transport, not of the story: whoever checks its age has a real clock.
  const timestamp = String(Math.floor(Date.now() / 1000));
  const nonce = platform.ids.digits(10);
  const token = tamper === 'signature' ? `${account.token}x` : account.token;
  if (tamper !== 'no_signature') target.searchParams.set('signature', sha1(token, timestamp, nonce));
  target.searchParams.set('timestamp', timestamp);
  target.searchParams.set('nonce', nonce);
  return target;
}

async function ask(
  platform: Platform,
  url: URL,
  body: string | undefined,
  accepts: (answer: string) => boolean,
): Promise<Attempt> {
  const started = performance.now();
  const took = () => Math.round(performance.now() - started);
  try {
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.any([AbortSignal.timeout(ANSWER_WITHIN_MS), platform.clock.closing]),
      ...(body === undefined ? {} : { method: 'POST', body, headers: { 'Content-Type': 'text/xml' } }),
    });
    const answer = (await response.text()).slice(0, 65_536);
    const accepted = response.status === 200 && accepts(answer);
    const why = accepted ? '' : `status ${response.status}, ${answer.length} characters that are no answer`;
    return { status: response.status, answer, took_ms: took(), accepted, why };
  } catch (cause) {
    const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    return { took_ms: took(), accepted: false, why };
  }
}

/** The GET that WeChat makes when the address is saved. */
async function verify(platform: Platform, given: Pushed): Promise<{ attempts: Attempt[]; url: string }> {
  const url = signed(platform, accountOf(platform), serverUrl(platform, given.url), given.tamper);
  const echostr = platform.ids.digits(19);
  url.searchParams.set('echostr', echostr);
  return { attempts: [await ask(platform, url, undefined, (answer) => answer === echostr)], url: url.href };
}

/** Pushes one message until it is taken, three times at the most; every try is freshly sealed and signed. */
export async function push(platform: Platform, given: Pushed) {
  const account = accountOf(platform);
  const { official, users } = platform.store.state;
  const mode = given.mode ?? official.server_mode;
  const openid = given.openid ?? users[0]?.openid ?? '';
  const fields: Record<string, string> =
    given.fields?.MsgType === undefined
      ? { MsgType: 'text', Content: '你好', ...given.fields }
      : given.fields;
  const own: Record<string, string> =
    fields.MsgType === 'event' ? {} : { MsgId: String(platform.clock.now()) + platform.ids.digits(6) };
  const message =
    given.xml ??
    xml({
      ToUserName: `gh_${account.appid.slice(-12)}`,
      FromUserName: openid,
      CreateTime: String(Math.floor(platform.clock.now() / 1000)),
      ...own,
      ...fields,
    });
  const attempts: Attempt[] = [];
  const base = serverUrl(platform, given.url);
  for (let tries = 0; tries < TRIES && attempts.at(-1)?.accepted !== true; tries += 1) {
    const url = signed(platform, account, base, given.tamper);
    url.searchParams.set('openid', openid);
    let body = message;
    if (mode !== 'plain') {
      const appid = given.tamper === 'appid' ? 'wx0000000000000000' : account.appid;
      const encrypt = seal(account, message, appid);
      const { timestamp = '', nonce = '' } = Object.fromEntries(url.searchParams);
      const token = given.tamper === 'signature' ? `${account.token}x` : account.token;
      url.searchParams.set('encrypt_type', 'aes');
      url.searchParams.set('msg_signature', sha1(token, timestamp, nonce, encrypt));
      const sent = given.tamper === 'body' ? `${encrypt.slice(0, -8)}AAAAAAA=` : encrypt;
      const outer = `<ToUserName><![CDATA[gh_${account.appid.slice(-12)}]]></ToUserName><Encrypt><![CDATA[${sent}]]></Encrypt>`;
      body =
        mode === 'safe'
          ? `<xml>${outer}</xml>`
          : message.replace('</xml>', `<Encrypt><![CDATA[${sent}]]></Encrypt></xml>`);
    }
    attempts.push(
      await ask(
        platform,
        url,
        body,
        (answer) => answer === '' || answer === 'success' || answer.startsWith('<xml>'),
      ),
    );
    note(platform, base, message, attempts.at(-1));
  }
  return { url: base.href, mode, message, attempts };
}

/** After the answer that caused it; nobody waits, and a shop without a server is no fault. */
export function pushLater(platform: Platform, given: Pushed): void {
  const { official, shop_origin } = platform.store.state;
  if (official.server_url === '' && shop_origin === '') return;
  void platform.clock
    .sleep(30)
    .then(() => (platform.clock.closing.aborted ? undefined : push(platform, given)))
    .catch((cause: unknown) => {
      if (!(cause instanceof BadRequest)) throw cause;
    });
}

function xml(fields: Record<string, string>): string {
  const inner = Object.entries(fields).map(([name, value]) =>
    /^\d+$/.test(value) ? `<${name}>${value}</${name}>` : `<${name}><![CDATA[${value}]]></${name}>`,
  );
  return `<xml>${inner.join('\n')}</xml>`;
}

function note(platform: Platform, url: URL, message: string, attempt: Attempt | undefined): void {
  platform.log.add({
    at_ms: platform.clock.now(),
    kind: 'notify',
    method: 'POST',
    path: url.pathname,
    request: message,
    status: attempt?.status ?? 0,
    answer: attempt?.answer ?? '',
    out_trade_no: '',
    code: attempt?.accepted ? '' : 'PUSH',
    why: attempt?.why ?? '',
    faults: [],
  });
}

async function pushDoor(platform: Platform, call: Call): Promise<Answer> {
  const body = bodyOf(call);
  const tamper = text(body, 'tamper');
  const mode = text(body, 'mode');
  if (tamper !== undefined && !isOneOf(TAMPERS, tamper)) {
    throw new BadRequest(`tamper is one of ${TAMPERS.join(', ')}`);
  }
  if (mode !== undefined && !isOneOf(MODES, mode)) throw new BadRequest(`mode is one of ${MODES.join(', ')}`);
  const given: Pushed = {
    openid: text(body, 'openid'),
    fields: fieldsOf(body.fields),
    xml: text(body, 'xml'),
    url: text(body, 'url'),
    mode,
    tamper,
  };
  const done = body.verify === true ? await verify(platform, given) : await push(platform, given);
  return json(200, { ...done, accepted: done.attempts.at(-1)?.accepted === true });
}

function isOneOf<Word extends string>(words: readonly Word[], word: string): word is Word {
  return words.some((one) => one === word);
}

function fieldsOf(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null) throw new BadRequest('fields must be an object of texts');
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => {
      if (!/^[A-Za-z]\w*$/.test(name) || typeof one !== 'string' || one.includes(']]>')) {
        throw new BadRequest('fields must be an object of texts');
      }
      return [name, one];
    }),
  );
}

/** The console's pages of the account: whitelist, quotas, server address, who refuses messages; and what was sent. */
function account(platform: Platform, call: Call): Answer {
  const { official } = platform.store.state;
  if (call.method !== 'GET') {
    const body = bodyOf(call);
    const mode = text(body, 'server_mode');
    if (mode !== undefined && !isOneOf(MODES, mode))
      throw new BadRequest(`server_mode is one of ${MODES.join(', ')}`);
    const lists = { ip_whitelist: listOf(body, 'ip_whitelist'), refusing: listOf(body, 'refusing') };
    const quotas = quotasOf(body.quotas);
    if (mode !== undefined) official.server_mode = mode;
    if (body.server_url !== undefined) official.server_url = text(body, 'server_url') ?? '';
    if (lists.ip_whitelist !== undefined) official.ip_whitelist = lists.ip_whitelist;
    if (lists.refusing !== undefined) official.refusing = lists.refusing;
    Object.assign(official.quotas, quotas);
    platform.store.touch();
  }
  return json(200, official);
}

function listOf(body: Record<string, unknown>, name: string): string[] | undefined {
  const value = body[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) {
    throw new BadRequest(`${name} must be a list of strings`);
  }
  return value;
}

function quotasOf(value: unknown): Record<string, number> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null) throw new BadRequest('quotas is path to calls a day');
  return Object.fromEntries(
    Object.entries(value).map(([path, most]) => {
      if (typeof most !== 'number' || !Number.isInteger(most) || most < 0) {
        throw new BadRequest('quotas is path to calls a day');
      }
      return [path, most];
    }),
  );
}

export const controlAccount: Family = {
  name: 'control_account',
  logged: false,
  doors: {
    '/_sim/push': guarded('POST', pushDoor),
    '/_sim/account': guarded('GET,PUT', account),
  },
};
