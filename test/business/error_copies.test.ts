/** Next compiles pages and routes apart: an error made by one copy of a module must be known to the other. */
import { expect, test } from 'vitest';
import * as mine from '../../lib/errors.ts';
import * as wechat from '../../lib/wechat/errors.ts';

/** A second evaluation of the same file, as another bundle would hold it. */
const copyOf = async <Module>(path: string): Promise<Module> => import(/* @vite-ignore */ `${path}?copy`);

test('errors of another copy of a module are recognised, other errors are not', async () => {
  const otherWechat = await copyOf<typeof wechat>('../../lib/wechat/errors.ts');
  const otherMine = await copyOf<typeof mine>('../../lib/errors.ts');
  expect(otherWechat.WechatError).not.toBe(wechat.WechatError);
  const unknown = new otherWechat.WechatError('unknown', 'NO_ANSWER', 'no answer');
  expect(unknown instanceof wechat.WechatError).toBe(true);
  expect(unknown instanceof wechat.NotificationError).toBe(false);
  expect(new otherWechat.NotificationError('malformed', 'x') instanceof wechat.NotificationError).toBe(true);
  expect(new otherMine.AppError('busy') instanceof mine.AppError).toBe(true);
  for (const thrown of [new Error('WechatError'), 'WechatError', undefined, null, { name: 'WechatError' }]) {
    expect((thrown as unknown) instanceof wechat.WechatError).toBe(false);
    expect((thrown as unknown) instanceof mine.AppError).toBe(false);
  }
});
