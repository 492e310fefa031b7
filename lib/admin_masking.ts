/**
 * What an operator may read of a raw message: everything but signatures, keys and whole openids. It prefers hiding
 * too much: a message too broken to be read as XML or JSON is searched as text.
 */
import { maskOpenid } from './log.ts';

const hiddenNames = new Set(
  [
    'sign',
    'paySign',
    'pay_sign',
    'signature',
    'wechatpay-signature',
    'key',
    'api_v2_key',
    'api_v3_key',
    'secret',
    'appsecret',
    'app_secret',
    'password',
    'access_token',
    'refresh_token',
    'ticket',
    'authorization',
    'cookie',
  ].map((name) => name.toLowerCase()),
);
const openidNames = new Set(['openid', 'sub_openid', 'sp_openid']);

type Treatment = 'show' | 'hide' | 'mask';

function treatmentOf(name: string): Treatment {
  const lower = name.toLowerCase();
  if (hiddenNames.has(lower)) return 'hide';
  return openidNames.has(lower) ? 'mask' : 'show';
}

function treat(treatment: Treatment, value: string): string {
  if (treatment === 'show' || value.trim() === '') return value;
  return treatment === 'mask' ? maskOpenid(value.trim()) : `（已隐藏 ${value.trim().length} 字符）`;
}

export interface ReadableMessage {
  format: 'xml' | 'json' | 'text';
  text: string;
}

/**
 * A raw message laid out for reading, with what nobody needs to see hidden. `openids` are the ones known from our
 * own rows: they are masked wherever they stand, in whatever field.
 */
export function readableMessage(raw: string, openids: readonly string[] = []): ReadableMessage {
  const message = layOut(raw);
  let { text } = message;
  for (const openid of openids) {
    if (openid.length >= 6) text = text.replaceAll(openid, maskOpenid(openid));
  }
  return { ...message, text };
}

function layOut(raw: string): ReadableMessage {
  const trimmed = raw.trim();
  if (/^[{["]/.test(trimmed)) {
    const value = parsedJson(trimmed);
    if (value !== undefined) return { format: 'json', text: JSON.stringify(maskedJson(value), null, 2) };
  }
  if (trimmed.startsWith('<')) return { format: 'xml', text: maskedXml(trimmed) };
  return { format: 'text', text: maskedText(raw) };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    // Half a message is still shown, as text.
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

/** The same value with hidden and masked fields; a message inside a string is treated as the message it is. */
function maskedJson(value: unknown): unknown {
  if (typeof value === 'string') return /^\s*[<{["]/.test(value) ? layOut(value).text : maskedText(value);
  if (Array.isArray(value)) return value.map(maskedJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      const treatment = treatmentOf(name);
      if (treatment === 'show') return [name, maskedJson(field)];
      return [name, treat(treatment, typeof field === 'string' ? field : JSON.stringify(field))];
    }),
  );
}

const xmlPiece = /<!\[CDATA\[[\s\S]*?(?:\]\]>|$)|<!--[\s\S]*?(?:-->|$)|<[^>]*(?:>|$)|[^<]+/g;

/** One element a line. Works on broken XML too: what stands inside an unclosed hidden element stays hidden. */
function maskedXml(raw: string): string {
  const open: string[] = [];
  const lines: string[] = [];
  let line = '';
  const endLine = (): void => {
    if (line !== '') lines.push(line);
    line = '';
  };
  const indent = (): string => '  '.repeat(open.length);
  let hasText = false;
  for (const [piece] of raw.matchAll(xmlPiece)) {
    const cdata = piece.startsWith('<![CDATA[');
    if (cdata || !piece.startsWith('<')) {
      const inner = cdata ? piece.slice(9).replace(/\]\]>$/, '') : piece;
      if (inner.trim() === '') continue;
      const shown = treat(treatmentInside(open), inner);
      line += cdata ? `<![CDATA[${shown === inner ? maskedText(inner) : shown}]]>` : shownText(shown, inner);
      hasText = true;
      continue;
    }
    const close = /^<\/\s*([^\s>]+)/.exec(piece)?.[1];
    if (close !== undefined) {
      const depth = open.lastIndexOf(close);
      if (depth >= 0) open.length = depth;
      if (!hasText) {
        if (!line.endsWith(`<${close}>`)) endLine();
        if (line === '') line = indent();
      }
      line += piece;
      endLine();
      hasText = false;
      continue;
    }
    endLine();
    hasText = false;
    const name = /^<([A-Za-z_][^\s/>]*)/.exec(piece)?.[1];
    line = indent() + maskedText(piece);
    if (name === undefined || piece.endsWith('/>')) endLine();
    else open.push(name);
  }
  endLine();
  return lines.join('\n');
}

function shownText(shown: string, inner: string): string {
  return shown === inner ? maskedText(inner.trim()) : shown;
}

function treatmentInside(open: readonly string[]): Treatment {
  const treatments = open.map(treatmentOf);
  if (treatments.includes('hide')) return 'hide';
  return treatments.includes('mask') ? 'mask' : 'show';
}

const namedValue = new RegExp(
  `((?:^|[^\\w-])(${[...hiddenNames, ...openidNames].join('|')})[\\\\"']*\\s*[:=]\\s*)(?:(\\\\*["'])((?:[^"'\\\\]|\\\\[^"'])*)|([^"'&\\\\\\s<>,}]+))`,
  'gi',
);

/** `name=value` and `"name": "value"` wherever they stand in a text, quotes escaped or not, ended or not. */
function maskedText(text: string): string {
  return text.replace(
    namedValue,
    (_, before: string, name: string, quote: string | undefined, quoted = '', bare = '') =>
      `${before}${quote ?? ''}${treat(treatmentOf(name), quote === undefined ? bare : quoted)}`,
  );
}
