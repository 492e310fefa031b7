// The API v2 door that makes a short link of a NATIVE mode 1 code. It shortens nothing else.

import { door, heed, levelTwo, spoil, systemError } from './envelope_v2.ts';
import { lacking } from './fields_v2.ts';
import type { Family } from './http.ts';
import { isModeOne, readLink, shortened } from './native_one.ts';
import { Refusal } from './orders.ts';

const MOST_BYTES = 512;

const shorturl = door((platform, _call, verified) => {
  const { fields: f } = verified;
  heed(lacking(f, ['nonce_str', 'long_url']));
  // Signed as it is, sent URL-encoded: both ways of reading the rule arrive here.
  const sent = f.long_url ?? '';
  const long_url = sent.startsWith('weixin%3A') ? decodeURIComponent(sent) : sent;
  if (Buffer.byteLength(long_url) > MOST_BYTES) {
    throw new Refusal('PARAM_ERROR', '参数错误：long_url', `long_url is longer than ${MOST_BYTES} bytes`);
  }
  if (!isModeOne(long_url)) {
    throw new Refusal('PARAM_ERROR', '参数错误：long_url', 'long_url is no NATIVE mode 1 code');
  }
  readLink(platform, long_url);
  return levelTwo(platform, verified, { short_url: shortened(platform, long_url) });
});

export const shorturlV2: Family = {
  name: 'shorturl_v2',
  logged: true,
  doors: { '/tools/shorturl': shorturl },
  systemError,
  spoil,
};
