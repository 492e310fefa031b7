/** JS-SDK signature, server configuration and message push against the vectors that WeChat and wechatpy publish. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decryptPush,
  encryptPush,
  jsSdkConfig,
  NotificationError,
  parseXml,
  serverSignatureHolds,
  signJsSdk,
} from '../../lib/wechat/index.ts';
import { seal } from '../../simulator/push.ts';

describe('wx.config (WeChat Official Accounts, JS-SDK 说明文档 附录1, two editions)', () => {
  const parts = {
    jsapi_ticket: 'sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg',
    noncestr: 'Wm3WZYTPz0wzccnW',
    timestamp: 1414587457,
  };

  it.each([
    ['http://mp.weixin.qq.com?params=value', '0f9de62fce790f9a083d5c99e95740ceb90c27ed'],
    ['http://mp.weixin.qq.com?params=value#/pay', '0f9de62fce790f9a083d5c99e95740ceb90c27ed'],
    ['http://mp.weixin.qq.com', 'f4d90daf4b3bca3078ab155816175ba34c443a7b'],
  ])('%s', (url, signature) => {
    expect(signJsSdk({ ...parts, url })).toBe(signature);
  });

  it('the page gets what was signed', () => {
    const ports = { now: () => new Date(1414587457_999), nonce: () => parts.noncestr };
    const page = {
      appid: 'wx1',
      jsapi_ticket: parts.jsapi_ticket,
      url: 'http://mp.weixin.qq.com?params=value',
    };
    expect(jsSdkConfig(page, ports)).toEqual({
      appId: 'wx1',
      timestamp: 1414587457,
      nonceStr: 'Wm3WZYTPz0wzccnW',
      signature: '0f9de62fce790f9a083d5c99e95740ceb90c27ed',
    });
  });
});

describe('wx.config, any page', () => {
  const parts = fc.record({
    jsapi_ticket: fc.stringMatching(/^[\w-]{86}$/),
    noncestr: fc.stringMatching(/^\w{16}$/),
    timestamp: fc.integer({ min: 1_000_000_000, max: 4_000_000_000 }),
    url: fc.webUrl({ withQueryParameters: true }),
  });

  it('what stands after # never counts, everything before it does', () => {
    fc.assert(
      fc.property(parts, fc.webFragments(), (given, fragment) => {
        const signature = signJsSdk(given);
        expect(signJsSdk({ ...given, url: `${given.url}#${fragment}` })).toBe(signature);
        for (const other of [
          { url: `${given.url}x` },
          { url: given.url.replace(/^http/, 'HTTP') },
          { noncestr: `${given.noncestr}0` },
          { timestamp: given.timestamp + 1 },
          { jsapi_ticket: `${given.jsapi_ticket}0` },
        ]) {
          expect(signJsSdk({ ...given, ...other })).not.toBe(signature);
        }
      }),
    );
  });
});

describe('server configuration', () => {
  it.each([
    ['消息推送开发手册', '1714036504', '1514711492', 'f464b24fc39322e44b38aa78f5edd27bd1441696'],
    ['消息加解密说明', '1714037059', '486452656', '899cf89e464efb63f54ddac96b0a0a235f53aa78'],
  ])('%s', (_origin, timestamp, nonce, signature) => {
    expect(serverSignatureHolds('AAAAA', { signature, timestamp, nonce })).toBe(true);
    expect(serverSignatureHolds('AAAAB', { signature, timestamp, nonce })).toBe(false);
    expect(serverSignatureHolds('AAAAA', { signature, timestamp, nonce: `${nonce}1` })).toBe(false);
    expect(serverSignatureHolds('AAAAA', { signature: '', timestamp, nonce })).toBe(false);
    expect(serverSignatureHolds('AAAAA', { signature: signature.toUpperCase(), timestamp, nonce })).toBe(
      false,
    );
  });
});

describe('message push (wechatpy tests/test_crypto.py)', () => {
  const account = {
    appid: 'wx49f0ab532d5d035a',
    token: '123456',
    encoding_aes_key: 'kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR',
  };
  const push = { timestamp: '1411525903', nonce: '461056294' };
  const encrypted =
    'RgqEoJj5A4EMYlLvWO1F86ioRjZfaex/gePD0gOXTxpsq5Yj4GNglrBb8I2BAJVODGajiFnXBu7mCPatfjsu6IHCrsTyeDXzF6Bv283dGymzxh6ydJRvZsryDyZbLTE7rhnus50qGPMfp2wASFlzEgMW9z1ef/RD8XzaFYgm7iTdaXpXaG4+BiYyolBug/gYNx410cvkKR2/nPwBiT+P4hIiOAQqGp/TywZBtDh1yCF2KOd0gpiMZ5jSw3e29mTvmUHzkVQiMS6td7vXUaWOMZnYZlF3So2SjHnwh4jYFxdgpkHHqIrH/54SNdshoQgWYEvccTKe7FS709/5t6NMxuGhcUGAPOQipvWTT4dShyqio7mlsl5noTrb++x6En749zCpQVhDpbV6GDnTbcX2e8K9QaNWHp91eBdCRxthuL0=';
  const signature = '74d92dfeb87ba7c714f89d98870ae5eb62dff26d';

  function verdict(open: () => unknown): string {
    try {
      open();
    } catch (error) {
      if (error instanceof NotificationError) return error.verdict;
      throw error;
    }
    return 'opened';
  }

  it('an encrypted echo opens', () => {
    const signed = {
      signature: 'dd6b9c95b495b3f7e2901bfbc76c664930ffdb96',
      timestamp: '1411443780',
      nonce: '437374425',
    };
    expect(
      decryptPush(
        account,
        signed,
        '4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q==',
      ),
    ).toBe('5927782489442352469');
  });

  it('a message opens', () => {
    const fields = parseXml(Buffer.from(decryptPush(account, { ...push, signature }, encrypted)));
    expect(fields).toMatchObject({
      FromUserName: 'messense',
      MsgType: 'text',
      Content: 'test',
      MsgId: '4363689963896700987',
    });
  });

  it('a reply is encrypted to the byte, and opens again', () => {
    const message = [
      '<xml>',
      '<MsgType><![CDATA[text]]></MsgType>',
      '<Content><![CDATA[test]]></Content>',
      '<FromUserName><![CDATA[wx49f0ab532d5d035a]]></FromUserName>',
      '<ToUserName><![CDATA[messense]]></ToUserName>',
      '<AgentID>1</AgentID>',
      '<CreateTime>1411525903</CreateTime>',
      '</xml>',
    ].join('\n');
    const reply = encryptPush(account, message, { ...push, random: Buffer.from('1234567890123456') });
    const fields = parseXml(Buffer.from(reply));
    expect(fields).toEqual({
      Encrypt:
        '9s4gMv99m88kKTh/H8IdkOiMg6bisoy3ypwy9H4hvSPe9nsGaqyw5hhSjdYbcrKk+j3nba4HMOTzHrluLBYqxgNcBqGsL8GqxlhZgURnAtObvesEl5nZ+uBE8bviY0LWke8Zy9V/QYKxNV2FqllNXcfmstttyIkMKCCmVbCFM2JTF5wY0nFhHZSjPUL2Q1qvSUCUld+/WIXrx0oyKQmpB6o8NRrrNrsDf03oxI1p9FxUgMnwKKZeOA/uu+2IEvEBtb7muXsVbwbgX05UPPJvFurDXafG0RQyPR+mf1nDnAtQmmNOuiR5MIkdQ39xn1vWwi1O5oazPoQJz0nTYjxxEE8kv3kFxtAGVRe3ypD3WeK2XeFYFMNMpatF9XiKzHo3',
      MsgSignature: '407518b7649e86ef23978113f92d27afa9296533',
      TimeStamp: '1411525903',
      Nonce: '461056294',
    });
    const signed = { ...push, signature: fields.MsgSignature ?? '' };
    expect(decryptPush(account, signed, fields.Encrypt ?? '')).toBe(message);
  });

  it('round trips every length around the padding block, Chinese included', () => {
    for (let length = 0; length < 70; length += 1) {
      const message = '付'.repeat(length % 5) + 'x'.repeat(length);
      const reply = parseXml(
        Buffer.from(encryptPush(account, message, { ...push, random: Buffer.alloc(16, length) })),
      );
      const signed = { ...push, signature: reply.MsgSignature ?? '' };
      expect(decryptPush(account, signed, reply.Encrypt ?? '')).toBe(message);
    }
  });

  it('opens whatever the platform’s own sender seals, which shares no code with ours', () => {
    const sender = { ...account, secret: '', name: '' };
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (message) => {
        const well_formed = message.toWellFormed();
        const encrypt = seal(sender, well_formed, account.appid);
        expect(decryptPush(account, { ...push, signature: signatureOf(encrypt) }, encrypt)).toBe(well_formed);
        const strange = seal(sender, well_formed, 'wx0000000000000000');
        expect(
          verdict(() => decryptPush(account, { ...push, signature: signatureOf(strange) }, strange)),
        ).toBe('undecryptable');
      }),
    );
  });

  it('refuses a wrong signature before opening anything', () => {
    expect(verdict(() => decryptPush(account, { ...push, signature: '0'.repeat(40) }, encrypted))).toBe(
      'bad_signature',
    );
    expect(verdict(() => decryptPush(account, { ...push, signature }, `${encrypted}AAAA`))).toBe(
      'bad_signature',
    );
  });

  it('refuses what is signed rightly but meant for another account, or is no message', () => {
    const other = { ...account, appid: 'wxOther' };
    expect(verdict(() => decryptPush(other, { ...push, signature }, encrypted))).toBe('undecryptable');
    for (const junk of [
      '',
      'AAAA',
      Buffer.alloc(32).toString('base64'),
      Buffer.alloc(31).toString('base64'),
    ]) {
      const signed = { ...push, signature: signatureOf(junk) };
      expect(verdict(() => decryptPush(account, signed, junk))).toBe('undecryptable');
    }
  });

  function signatureOf(encrypt: string): string {
    return createHash('sha1')
      .update([account.token, push.timestamp, push.nonce, encrypt].sort().join(''))
      .digest('hex');
  }
});
