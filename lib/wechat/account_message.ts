/**
 * One message from the official account to one user: a template message to a follower, or a subscription notice to
 * somebody who agreed to it. Decides neither whether to send nor what an unknown answer means.
 *
 * Source: WeChat Official Accounts, 发送模板消息, 发送订阅通知.
 */
import { badAnswer, callOfficialAccount } from './official_account.ts';
import type { Ports } from './types.ts';

export type AccountMessageKind = 'template' | 'subscribe';

export interface AccountMessage {
  /** `template`: 模板消息. `subscribe`: 订阅通知. */
  kind: AccountMessageKind;
  openid: string;
  template_id: string;
  /** Where a tap leads. */
  url: string;
  /** The template's fields, by name. */
  data: Record<string, string>;
  /** WeChat drops a second template message of the same id for ten minutes. */
  client_msg_id: string;
}

const PATHS: Record<AccountMessageKind, string> = {
  template: '/cgi-bin/message/template/send',
  subscribe: '/cgi-bin/message/subscribe/bizsend',
};

/** Longest value by the kind of field its name tells; WeChat refuses a longer one with 47003. */
const LONGEST: Record<string, number> = {
  thing: 20,
  character_string: 32,
  number: 32,
  letter: 32,
  symbol: 5,
  phrase: 5,
  name: 10,
  car_number: 8,
  phone_number: 17,
};

/** Sends; resolves with the msgid a template message gets. Rejects with `OfficialAccountError`. */
export async function sendAccountMessage(
  account: { api_base_url: string; access_token: string; timeout_ms?: number },
  message: AccountMessage,
  ports: Ports,
): Promise<{ msgid: string | undefined }> {
  const { api_base_url, access_token, timeout_ms } = account;
  const { kind, openid, template_id, url, client_msg_id } = message;
  const data = Object.fromEntries(
    Object.entries(message.data).map(([name, value]) => [name, { value: fitField(name, value) }]),
  );
  const answer = await callOfficialAccount(
    {
      api_base_url,
      path: PATHS[kind],
      query: { access_token },
      json:
        kind === 'template'
          ? { touser: openid, template_id, url, client_msg_id, data }
          : { touser: openid, template_id, page: url, data },
      timeout_ms,
    },
    ports,
  );
  if (answer.errcode !== 0) throw badAnswer('no errcode');
  const { msgid } = answer;
  return { msgid: typeof msgid === 'string' && /^\d{1,20}$/.test(msgid) ? msgid : undefined };
}

/** A value short enough for its field, cut between characters. */
export function fitField(name: string, value: string): string {
  const longest = LONGEST[name.replace(/\d+$/, '')];
  if (longest === undefined) return value;
  const characters = [...value];
  return characters.length <= longest ? value : `${characters.slice(0, longest - 1).join('')}…`;
}
