/** WeChat's refund notification, API v2. */
import { context } from '../../../../../lib/context.ts';
import { receiveRefund } from '../../../../../lib/notify.ts';

export function POST(request: Request): Promise<Response> {
  return receiveRefund(context(), 'v2', request);
}
