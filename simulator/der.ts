// DER as it is written here: a tag, a length, the parts. It reads nothing and does not check what it is given.

export const SEQUENCE = 0x30;

/** One element with these parts inside. */
export function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length < 128 ? Buffer.from([content.length]) : longSize(content.length);
  return Buffer.concat([Buffer.from([tag]), size, content]);
}

function longSize(length: number): Buffer {
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}
