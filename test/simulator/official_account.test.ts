// The official account's side: whitelist, quotas, tokens that a newer one ends, messages to users, and what is pushed
// to the account's server. The opener of sealed messages is written here from the rule alone.

import { createDecipheriv, createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fromXml, openWorld, type World } from './world.ts';

type Account = {
  appid: string;
  secret: string;
  token: string;
  encoding_aes_key: string;
  templates: { template_id: string; kind: string }[];
};
type Reply = { errcode?: number; errmsg?: string; access_token: string; ticket: string; msgid?: number };
type Arrival = { method: string; query: URLSearchParams; body: string };

let w: World;
let server: Server;
let url: string;
let account: Account;
let arrivals: Arrival[] = [];
let answer = (_arrival: Arrival): { status: number; body: string } => ({ status: 200, body: 'success' });

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const arrival = {
      method: request.method ?? '',
      query: new URL(request.url ?? '/', 'http://x').searchParams,
      body: Buffer.concat(parts).toString(),
    };
    arrivals.push(arrival);
    const { status, body } = answer(arrival);
    response.writeHead(status).end(body);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/server`;
  w = await openWorld();
  account = (await control<{ official_account: Account }>('GET', 'config')).official_account;
});
afterAll(async () => {
  await w.close();
  server.closeAllConnections();
  server.close();
});
afterEach(async () => {
  await w.control('POST', 'reset');
  arrivals = [];
  answer = () => ({ status: 200, body: 'success' });
});

/** The control door's answer as it is; throws what it refuses. */
async function control<Told>(method: string, path: string, body?: unknown): Promise<Told> {
  const told = await fetch(`${w.url}/_sim/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!told.ok) throw new Error(await told.text());
  return (await told.json()) as Told;
}

const get = async (path: string, query: Record<string, string>): Promise<Reply> =>
  JSON.parse(await (await fetch(`${w.url}${path}?${new URLSearchParams(query)}`)).text());
const post = async (path: string, body: unknown): Promise<Reply> =>
  JSON.parse(await (await fetch(`${w.url}${path}`, { method: 'POST', body: JSON.stringify(body) })).text());
const basic = () =>
  get('/cgi-bin/token', { grant_type: 'client_credential', appid: account.appid, secret: account.secret });
const stable = () =>
  post('/cgi-bin/stable_token', {
    grant_type: 'client_credential',
    appid: account.appid,
    secret: account.secret,
  });
const ticket = (access_token: string) => get('/cgi-bin/ticket/getticket', { access_token, type: 'jsapi' });

describe('tokens', () => {
  it('a newer basic token ends the older one after five minutes; the stable one is untouched', async () => {
    const [first, kept] = [await basic(), await stable()];
    const second = await basic();
    expect((await ticket(first.access_token)).errcode).toBe(0);
    await w.control('POST', 'clock', { advance_s: 301 });
    expect((await ticket(first.access_token)).errcode).toBe(42001);
    expect((await ticket(second.access_token)).errcode).toBe(0);
    expect((await ticket(kept.access_token)).errcode).toBe(0);
  });

  it('every token ends after two hours', async () => {
    const { access_token } = await stable();
    await w.control('POST', 'clock', { advance_s: 7_199 });
    expect((await ticket(access_token)).errcode).toBe(0);
    await w.control('POST', 'clock', { advance_s: 2 });
    expect((await ticket(access_token)).errcode).toBe(42001);
  });

  it('40164 names the address that was seen, until it is on the whitelist', async () => {
    await w.control('PUT', 'account', { ip_whitelist: ['203.0.113.9'] });
    for (const refused of [await basic(), await stable()]) {
      expect(refused.errcode).toBe(40164);
      expect(refused.errmsg).toContain('invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist');
    }
    await w.control('PUT', 'account', { ip_whitelist: ['203.0.113.9', '127.0.0.1'] });
    expect((await stable()).errcode).toBeUndefined();
  });

  it('45009 when the day’s quota is used up, and no longer after midnight in Beijing', async () => {
    await w.control('PUT', 'account', { quotas: { '/cgi-bin/token': 2 } });
    expect([(await basic()).errcode, (await basic()).errcode]).toEqual([undefined, undefined]);
    expect((await basic()).errcode).toBe(45009);
    await w.control('POST', 'clock', { advance_s: 86_400 });
    expect((await basic()).errcode).toBeUndefined();
  });
});

describe('messages to users', () => {
  const template = (kind: string) => account.templates.find((t) => t.kind === kind)?.template_id ?? '';
  const data = Object.fromEntries(
    ['character_string1', 'thing2', 'amount3', 'time4'].map((name) => [name, { value: name }]),
  );
  const send = async (kind: 'template' | 'subscribe', change: Record<string, unknown> = {}) => {
    const { access_token } = await stable();
    const path = kind === 'template' ? 'template/send' : 'subscribe/bizsend';
    return post(`/cgi-bin/message/${path}?access_token=${access_token}`, {
      touser: w.config.users[0]?.openid,
      template_id: template(kind),
      data,
      ...change,
    });
  };
  const sent = async () =>
    (await control<{ sent: { openid: string; data: Record<string, string> }[] }>('GET', 'account')).sent;

  it('a template message is kept, its msgid is longer than a number of JavaScript', async () => {
    const { access_token } = await stable();
    const reply = await fetch(`${w.url}/cgi-bin/message/template/send?access_token=${access_token}`, {
      method: 'POST',
      body: JSON.stringify({ touser: w.config.users[0]?.openid, template_id: template('template'), data }),
    });
    expect(await reply.text()).toMatch(/^\{"errcode":0,"errmsg":"ok","msgid":3\d{18}\}$/);
    expect(await sent()).toMatchObject([{ openid: w.config.users[0]?.openid, data: { thing2: 'thing2' } }]);
  });

  it('the same client_msg_id within ten minutes is one message', async () => {
    const first = await send('template', { client_msg_id: 'one' });
    expect((await send('template', { client_msg_id: 'one' })).msgid).toBe(first.msgid);
    expect(await sent()).toHaveLength(1);
    await w.control('POST', 'clock', { advance_s: 601 });
    await send('template', { client_msg_id: 'one' });
    expect(await sent()).toHaveLength(2);
  });

  it('who does not follow gets no template message, but the notice he agreed to', async () => {
    const touser = w.config.users[2]?.openid;
    expect((await send('template', { touser })).errcode).toBe(43004);
    expect((await send('subscribe', { touser })).errcode).toBe(0);
  });

  it('who refuses is left alone', async () => {
    await w.control('PUT', 'account', { refusing: [w.config.users[0]?.openid] });
    expect((await send('subscribe')).errcode).toBe(43101);
    expect(await sent()).toEqual([]);
  });

  it.each([
    ['an openid of nobody', { touser: 'oNobody' }, 40003],
    ['another template', { template_id: 'x'.repeat(43) }, 40037],
    ['a field missing', { data: { thing2: { value: 'x' } } }, 47003],
    ['a field too many', { data: { ...data, thing9: { value: 'x' } } }, 47003],
    ['a thing of 21 characters', { data: { ...data, thing2: { value: '长'.repeat(21) } } }, 47003],
  ])('%s', async (_what, change, errcode) => {
    expect((await send('template', change)).errcode).toBe(errcode);
  });

  it('the end of a template message is pushed to the account’s server', async () => {
    await w.control('PUT', 'account', { server_url: url, server_mode: 'plain' });
    await send('template');
    await expect.poll(() => arrivals.length).toBe(1);
    expect(fromXml(arrivals[0]?.body ?? '')).toMatchObject({
      Event: 'TEMPLATESENDJOBFINISH',
      Status: 'success',
      FromUserName: w.config.users[0]?.openid,
    });
  });
});

describe('the account’s server', () => {
  const sha1 = (...parts: string[]) => createHash('sha1').update(parts.sort().join('')).digest('hex');
  const word = (arrival: Arrival | undefined, name: string) => arrival?.query.get(name) ?? '';
  const holds = (arrival: Arrival | undefined) =>
    word(arrival, 'signature') === sha1(account.token, word(arrival, 'timestamp'), word(arrival, 'nonce'));

  function open(encrypt: string): { message: string; appid: string } {
    const key = Buffer.from(`${account.encoding_aes_key}=`, 'base64');
    const opened = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false);
    const padded = Buffer.concat([opened.update(encrypt, 'base64'), opened.final()]);
    const plain = padded.subarray(0, padded.length - (padded.at(-1) ?? 0));
    const length = plain.readUInt32BE(16);
    return { message: plain.toString('utf8', 20, 20 + length), appid: plain.toString('utf8', 20 + length) };
  }

  const push = (body: Record<string, unknown>) =>
    control<{ accepted: boolean; attempts: { status?: number; why: string }[] }>('POST', 'push', {
      url,
      ...body,
    });

  it('its address is checked: echostr must come back', async () => {
    answer = ({ query }) => ({ status: 200, body: query.get('echostr') ?? '' });
    expect((await push({ verify: true })).accepted).toBe(true);
    expect([arrivals[0]?.method, holds(arrivals[0])]).toEqual(['GET', true]);
    answer = () => ({ status: 200, body: 'hello' });
    expect((await push({ verify: true })).accepted).toBe(false);
  });

  it('plain: signed, with a MsgId', async () => {
    await push({ mode: 'plain', fields: { MsgType: 'text', Content: '你好' } });
    expect(holds(arrivals[0])).toBe(true);
    expect(fromXml(arrivals[0]?.body ?? '')).toMatchObject({
      Content: '你好',
      MsgId: expect.stringMatching(/^\d{19}$/),
    });
  });

  it('safe: only the sealed message, which opens to the account’s own', async () => {
    await push({ mode: 'safe', fields: { MsgType: 'event', Event: 'subscribe' } });
    const { Encrypt = '', ...rest } = fromXml(arrivals[0]?.body ?? '');
    expect(Object.keys(rest)).toEqual(['ToUserName']);
    expect(word(arrivals[0], 'msg_signature')).toBe(
      sha1(account.token, word(arrivals[0], 'timestamp'), word(arrivals[0], 'nonce'), Encrypt),
    );
    const { message, appid } = open(Encrypt);
    expect(appid).toBe(account.appid);
    expect(fromXml(message)).toMatchObject({ Event: 'subscribe' });
    expect(fromXml(message)).not.toHaveProperty('MsgId');
  });

  it('compatible: both', async () => {
    await push({ mode: 'compatible' });
    const fields = fromXml(arrivals[0]?.body ?? '');
    expect(fields.Content).toBe('你好');
    expect(open(fields.Encrypt ?? '').message).toContain('你好');
  });

  it('three tries, then no more; one is enough when it is taken', async () => {
    answer = () => ({ status: 200, body: 'ok' });
    expect((await push({})).attempts).toHaveLength(3);
    answer = () => ({ status: arrivals.length === 5 ? 200 : 500, body: '' });
    expect((await push({})).attempts.map(({ status }) => status)).toEqual([500, 200]);
  });

  it('no stranger is called', async () => {
    await expect(push({ url: 'http://shop.example.com/' })).rejects.toThrow('not this machine');
  });
});
