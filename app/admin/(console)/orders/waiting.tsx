/** The place of a list that is being read. */
import { Skeleton } from '../../antd.client.ts';

export function Waiting() {
  return (
    <div className="sheet sheet-waiting" role="status" aria-label="正在读取订单" data-testid="orders-waiting">
      <Skeleton active title={false} paragraph={{ rows: 10, width: '100%' }} />
    </div>
  );
}
