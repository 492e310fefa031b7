// The ordinary way: Express 5, tenpay's middleware as its README shows it, node-postgres as its documentation shows
// a transaction. Verify, find the order, compare the amount, mark it paid once, leave a row for the next step.
import express from 'express';
import pg from 'pg';
import tenpay from 'tenpay';

const { DATABASE_URL, PORT, APPID, MCH_ID, API_KEY } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL });
const api = new tenpay({ appid: APPID, mchid: MCH_ID, partnerKey: API_KEY });
const app = express();

app.use(express.text({ type: '*/xml' }));

app.post('/notify', api.middlewareForExpress('pay'), async (req, res) => {
  const { out_trade_no, transaction_id, total_fee, time_end } = req.weixin;
  const found = await pool.query('SELECT order_no, total_fee FROM orders WHERE out_trade_no = $1', [
    out_trade_no,
  ]);
  const [order] = found.rows;
  if (order === undefined) return res.reply('订单不存在');
  if (order.total_fee !== Number(total_fee)) return res.reply('金额不符');
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const paid = await client.query(
      `UPDATE orders SET state = 'PAID', transaction_id = $2, time_end = $3
       WHERE out_trade_no = $1 AND state = 'UNPAID'`,
      [out_trade_no, transaction_id, time_end],
    );
    if (paid.rowCount === 1) {
      await client.query('INSERT INTO outbox (topic, payload) VALUES ($1, $2)', [
        'order_paid',
        JSON.stringify({ order_no: order.order_no, transaction_id, total_fee }),
      ]);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
  res.reply();
});

const server = app.listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => {
  server.closeAllConnections();
  server.close(() => pool.end());
});
