/** WeChat's payment notification, API v2. */
import { context } from '../../../../../lib/context.ts';
import { receivePayment } from '../../../../../lib/notify.ts';

export function POST(request: Request): Promise<Response> {
  return receivePayment(context(), 'v2', request);
}
