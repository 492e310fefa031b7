/**
 * A line to PostgreSQL that a test can cut, block or make deaf: what a network does between us and the database. It
 * knows of the protocol only how a finished statement looks.
 */
import { connect, createServer, type Socket } from 'node:net';

export interface PostgresLine {
  /** The database's address through this line. */
  url: string;
  /** The next statement that holds `text` is carried out, its answer never comes: the line is cut after the commit. */
  loseAnswerTo: (text: string) => void;
  /** The next statement that holds `text` never reaches the database: the line is cut before it. */
  cutBefore: (text: string) => void;
  /** From now on nothing passes in either direction, and nobody is told; or, with false, it passes again. */
  block: (blocked?: boolean) => void;
  /** How often one of the two struck. */
  strikes: () => number;
  close: () => Promise<void>;
}

/** `ReadyForQuery`, idle: sent after the commit of a statement that stands alone. */
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

export async function openPostgresLine(database_url: string): Promise<PostgresLine> {
  const target = new URL(database_url);
  const sockets = new Set<Socket>();
  let lose: string | undefined;
  let cut: string | undefined;
  let blocked = false;
  let strikes = 0;

  const server = createServer((near) => {
    const far = connect(Number(target.port || 5432), target.hostname);
    let deaf = false;
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('close', end).on('error', end);
    }
    near.on('data', (chunk: Buffer) => {
      if (blocked) return;
      if (cut !== undefined && chunk.includes(cut)) {
        cut = undefined;
        strikes += 1;
        end();
        return;
      }
      if (lose !== undefined && chunk.includes(lose)) {
        lose = undefined;
        deaf = true;
      }
      far.write(chunk);
    });
    far.on('data', (chunk: Buffer) => {
      if (blocked) return;
      if (!deaf) near.write(chunk);
      else if (chunk.includes(readyForQuery)) {
        strikes += 1;
        end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  const url = new URL(database_url);
  url.hostname = '127.0.0.1';
  url.port = String(address.port);
  return {
    url: url.href,
    loseAnswerTo: (text) => {
      lose = text;
    },
    cutBefore: (text) => {
      cut = text;
    },
    block: (wanted = true) => {
      blocked = wanted;
    },
    strikes: () => strikes,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
