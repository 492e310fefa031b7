// Messages from the account to its users: template messages to followers, subscription notices to whoever did not
// refuse them. Each is kept, so that a test can count what a user really got; nothing is sent anywhere.

import type { Answer, Call, Door } from './http.ts';
import { apiAnswer, apiError } from './oauth.ts';
import { metered, readJson, tokenOf } from './official.ts';
import { type Platform, userOf } from './platform.ts';
import { pushLater } from './push.ts';
import type { Template } from './registers.ts';

const SAME_WITHIN_MS = 10 * 60 * 1000;

/** Most characters of a value, by the kind of its field. */
const LONGEST: Record<string, number> = { thing: 20, character_string: 32, number: 32, phrase: 5, name: 10 };

function send(platform: Platform, call: Call, kind: Template['kind']): Answer {
  const no = (errcode: number, text: string, why: string) => apiError(platform, call, errcode, text, why);
  if (call.method !== 'POST') return no(43002, 'require POST method', `it was ${call.method}`);
  const read = tokenOf(platform, call);
  if ('refusal' in read) return read.refusal;
  const { appid } = read.used;
  const over = metered(platform, call, appid);
  if (over !== undefined) return over;
  if (call.body.length === 0) return no(44002, 'empty post data', 'the body is empty');
  const asked = readJson(call);
  if (asked === undefined) return no(47001, 'data format error', 'the body is no JSON object');
  const word = (name: string) => (typeof asked[name] === 'string' ? asked[name] : '');
  const { official } = platform.store.state;
  const user = userOf(platform, word('touser'), appid);
  if (user === undefined) return no(40003, 'invalid openid', `nobody has the openid ${word('touser')}`);
  const template = official.templates.find((t) => t.template_id === word('template_id') && t.kind === kind);
  if (template === undefined) {
    return no(40037, 'invalid template_id', `the account has no ${kind} ${word('template_id')}`);
  }
  const { data, why } = readData(template, asked.data);
  if (data === undefined) return no(47003, 'argument invalid! data format error', why);
  if (kind === 'template' && user.is_subscribe === 'N') {
    return no(43004, 'require subscribe', `${user.nickname} does not follow the account`);
  }
  if (official.refusing.includes(word('touser'))) {
    return no(43101, 'user refuse to accept the msg', `${user.nickname} refuses the account's messages`);
  }
  const client_msg_id = word('client_msg_id');
  const now = platform.clock.now();
  const same = official.sent.find(
    (m) => client_msg_id !== '' && m.client_msg_id === client_msg_id && now - m.at_ms < SAME_WITHIN_MS,
  );
  if (same !== undefined) return answered(kind, same.msgid);
  const msgid = `3${platform.ids.digits(18)}`;
  official.sent.push({
    msgid,
    kind,
    appid,
    openid: word('touser'),
    template_id: template.template_id,
    client_msg_id,
    url: word(kind === 'template' ? 'url' : 'page'),
    data,
    at_ms: now,
  });
  platform.store.touch();
  if (kind === 'template') {
    pushLater(platform, {
      openid: word('touser'),
      fields: { MsgType: 'event', Event: 'TEMPLATESENDJOBFINISH', MsgID: msgid, Status: 'success' },
    });
  }
  return answered(kind, msgid);
}

/** The msgid stands as a number, longer than JavaScript's are exact. */
function answered(kind: Template['kind'], msgid: string): Answer {
  const answer = apiAnswer({ errcode: 0, errmsg: 'ok' });
  if (kind === 'template') answer.body = `{"errcode":0,"errmsg":"ok","msgid":${msgid}}`;
  return answer;
}

function readData(template: Template, given: unknown): { data?: Record<string, string>; why: string } {
  if (typeof given !== 'object' || given === null) return { why: 'data is no object' };
  const data: Record<string, string> = {};
  for (const field of template.fields) {
    const entry: unknown = Object.entries(given).find(([name]) => name === field)?.[1];
    const value = typeof entry === 'object' && entry !== null && 'value' in entry ? entry.value : undefined;
    if (typeof value !== 'string' || value === '') return { why: `data.${field}.value is empty or missing` };
    const longest = LONGEST[field.replace(/\d+$/, '')];
    if (longest !== undefined && [...value].length > longest) {
      return { why: `data.${field}.value is longer than ${longest} characters` };
    }
    data[field] = value;
  }
  const strange = Object.keys(given).find((name) => !template.fields.includes(name));
  return strange === undefined ? { data, why: '' } : { why: `the template has no field ${strange}` };
}

export const sendTemplate: Door = (platform, call) => send(platform, call, 'template');
export const sendSubscribe: Door = (platform, call) => send(platform, call, 'subscribe');
