/**
 * The official account's side: the address to authorise at, the code's exchange, tokens, and what each failure says.
 */
import { describe, expect, it } from 'vitest';
import {
  authorizeUrl,
  exchangeCode,
  fetchJsapiTicket,
  fetchStableToken,
  OfficialAccountError,
  type Ports,
} from '../../lib/wechat/index.ts';

const NOW = new Date('2025-07-04T07:30:00Z');
const APP_SECRET = 'canary-secret-0f2d';
const ACCOUNT = {
  api_base_url: 'https://api.weixin.qq.com',
  appid: 'wx2421b1c4370ec43b',
  secret: APP_SECRET,
};

function answering(
  answer: () => Response | Promise<Response>,
): Ports & { asked: { url: string; init?: RequestInit }[] } {
  const asked: { url: string; init?: RequestInit }[] = [];
  return {
    asked,
    fetch: async (url, init) => {
      asked.push({ url: String(url), ...(init === undefined ? {} : { init }) });
      return answer();
    },
    now: () => NOW,
    nonce: (length = 32) => 'n'.repeat(length),
  };
}

/** WeChat answers JSON as text/plain with status 200, errors too. */
function answeringJson(json: unknown): ReturnType<typeof answering> {
  return answering(() => new Response(JSON.stringify(json), { headers: { 'content-type': 'text/plain' } }));
}

async function failure(promise: Promise<unknown>): Promise<OfficialAccountError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OfficialAccountError)) throw new Error('no OfficialAccountError', { cause: error });
  return error;
}

describe('the authorise address', () => {
  const request = {
    open_base_url: 'https://open.weixin.qq.com',
    appid: 'wx2421b1c4370ec43b',
    redirect_uri: 'https://shop.example.com/api/wechat/oauth?x=1&y=2',
    scope: 'snsapi_base',
    state: 'a1B2',
  } as const;

  it('has the parameters in the order of the document, the address encoded, the fragment last', () => {
    expect(authorizeUrl(request)).toBe(
      'https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx2421b1c4370ec43b' +
        '&redirect_uri=https%3A%2F%2Fshop.example.com%2Fapi%2Fwechat%2Foauth%3Fx%3D1%26y%3D2' +
        '&response_type=code&scope=snsapi_base&state=a1B2#wechat_redirect',
    );
  });

  it.each(['', 'a b', 'a-b', 'a&b', 'a#b', '状态', 'x'.repeat(129)])('refuses the state %j', (state) => {
    expect(() => authorizeUrl({ ...request, state })).toThrow(TypeError);
  });
});

describe('exchanging a code', () => {
  const TOKENS = {
    access_token: 'web-token',
    expires_in: 7200,
    refresh_token: 'refresh',
    openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
    scope: 'snsapi_base',
  };

  it('asks as the document says and gives the payer', async () => {
    const ports = answeringJson(TOKENS);
    expect(await exchangeCode({ ...ACCOUNT, code: '031abc' }, ports)).toEqual({
      openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o',
      scope: 'snsapi_base',
      is_snapshotuser: false,
      access_token: 'web-token',
    });
    expect(ports.asked.map(({ url }) => url)).toEqual([
      `https://api.weixin.qq.com/sns/oauth2/access_token?appid=wx2421b1c4370ec43b&secret=${APP_SECRET}&code=031abc&grant_type=authorization_code`,
    ]);
  });

  it('says when the payer is the made-up user of a snapshot page, and passes the unionid', async () => {
    const ports = answeringJson({ ...TOKENS, is_snapshotuser: 1, unionid: 'oUnion' });
    expect(await exchangeCode({ ...ACCOUNT, code: 'c' }, ports)).toMatchObject({
      is_snapshotuser: true,
      unionid: 'oUnion',
    });
  });

  it('encodes a code that somebody put into our address', async () => {
    const ports = answeringJson(TOKENS);
    await exchangeCode({ ...ACCOUNT, code: 'x&secret=y#' }, ports);
    expect(new URL(ports.asked[0]?.url ?? '').searchParams.getAll('secret')).toEqual([APP_SECRET]);
  });

  it.each([
    [40029, 'refused', /code/, undefined],
    [40163, 'refused', /used already/, undefined],
    [40125, 'refused', /AppSecret/, /基本配置/],
    [40013, 'refused', /appid/, /基本配置/],
    [40164, 'refused', /whitelist/, /IP白名单/],
    [48001, 'refused', /right/, /接口权限/],
    [-1, 'unknown', /busy/, undefined],
    [45011, 'unknown', /too many/, undefined],
    [61024, 'refused', /61024/, undefined],
  ] as const)('errcode %i is %s, in plain words', async (errcode, outcome, en, page) => {
    const error = await failure(
      exchangeCode({ ...ACCOUNT, code: 'c' }, answeringJson({ errcode, errmsg: 'invalid code, rid: 66' })),
    );
    expect(error).toMatchObject({ errcode, outcome, errmsg: 'invalid code, rid: 66', code: String(errcode) });
    expect(error.en).toMatch(en);
    expect(error.zh).toMatch(/[\u4e00-\u9fff]/);
    if (page === undefined) expect(error.console_page).toBeUndefined();
    else expect(error.console_page).toMatch(page);
  });

  it.each<[string, () => Response | Promise<Response>, string]>([
    ['the line fails', () => Promise.reject(new TypeError('fetch failed')), 'NO_ANSWER'],
    ['HTTP 502', () => new Response('<html>', { status: 502 }), 'HTTP_502'],
    [
      'a redirect',
      () => new Response(null, { status: 302, headers: { location: 'http://evil/' } }),
      'HTTP_302',
    ],
    ['no JSON', () => new Response('<html>'), 'BAD_ANSWER'],
    ['a JSON array', () => new Response('[]'), 'BAD_ANSWER'],
    ['an empty answer', () => new Response(''), 'BAD_ANSWER'],
    ['no openid', () => Response.json({ access_token: 'a' }), 'BAD_ANSWER'],
    ['an openid with a quote in it', () => Response.json({ access_token: 'a', openid: 'o"x' }), 'BAD_ANSWER'],
    [
      'an openid that is no text',
      () => Response.json({ access_token: 'a', openid: { not: 1 } }),
      'BAD_ANSWER',
    ],
    ['an errcode that is no number', () => Response.json({ errcode: '40029' }), 'BAD_ANSWER'],
    ['an endless answer', () => new Response('x'.repeat(1024 * 1024 + 1)), 'BAD_ANSWER'],
  ])('%s: nothing is known, and the secret is nowhere in the error', async (_name, answer, code) => {
    const error = await failure(exchangeCode({ ...ACCOUNT, code: 'c' }, answering(answer)));
    expect(error).toMatchObject({ code, outcome: 'unknown', errcode: undefined });
    for (let seen: unknown = error; seen instanceof Error; seen = seen.cause) {
      const told = JSON.stringify(seen, Object.getOwnPropertyNames(seen)) + JSON.stringify({ ...seen });
      expect(told).not.toContain(APP_SECRET);
    }
  });

  it('gives up when WeChat takes too long', async () => {
    const ports: Ports = {
      ...answeringJson(TOKENS),
      fetch: (_url, init) =>
        new Promise((_resolve, reject) => {
          init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
        }),
    };
    const error = await failure(exchangeCode({ ...ACCOUNT, code: 'c', timeout_ms: 20 }, ports));
    expect(error).toMatchObject({ code: 'NO_ANSWER', outcome: 'unknown' });
  });
});

describe('tokens and tickets', () => {
  it('asks for the stable token by POST, not forcing a new one', async () => {
    const ports = answeringJson({ access_token: 'A'.repeat(512), expires_in: 7200 });
    expect(await fetchStableToken(ACCOUNT, ports)).toEqual({
      access_token: 'A'.repeat(512),
      expires_in_s: 7200,
    });
    expect(ports.asked[0]?.url).toBe('https://api.weixin.qq.com/cgi-bin/stable_token');
    expect(JSON.parse(String(ports.asked[0]?.init?.body))).toEqual({
      grant_type: 'client_credential',
      appid: ACCOUNT.appid,
      secret: APP_SECRET,
      force_refresh: false,
    });
  });

  it('asks for the ticket of the JS-SDK, whose errcode 0 is no error', async () => {
    const ports = answeringJson({ errcode: 0, errmsg: 'ok', ticket: 'T', expires_in: 7200 });
    expect(
      await fetchJsapiTicket({ api_base_url: ACCOUNT.api_base_url, access_token: 'a/b' }, ports),
    ).toEqual({
      ticket: 'T',
      expires_in_s: 7200,
    });
    expect(ports.asked[0]?.url).toBe(
      'https://api.weixin.qq.com/cgi-bin/ticket/getticket?access_token=a%2Fb&type=jsapi',
    );
  });
});
