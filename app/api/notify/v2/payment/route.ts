/** WeChat's payment notification, API v2. */
import { context } from '../../../../../lib/context.ts';
import { receivePaymentV2 } from '../../../../../lib/notify.ts';

export function POST(request: Request): Promise<Response> {
  return receivePaymentV2(context(), request);
}
