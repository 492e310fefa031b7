/**
 * The one place that opens the database. Everything else receives a `Db` and cannot make one.
 */
import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import { Client } from 'pg';
import { Prisma, PrismaClient } from '../generated/prisma/client.ts';

export { Prisma };
export type Db = PrismaClient;
/** Inside `db.$transaction`. */
export type Tx = Prisma.TransactionClient;

export interface DbOptions {
  /** More than about eight connections slow two cores down. */
  connections?: number;
  /** After this much silence a connection counts as dead: longer than any statement may take. */
  silence_ms?: number;
}

/**
 * Opens a pool with bounds everywhere: no query, lock or idle transaction waits for ever, and a full pool says so
 * after three seconds. Named statements are prepared once per connection.
 */
export function openDb(database_url: string, { connections = 8, silence_ms = 12_000 }: DbOptions = {}): Db {
  const adapter = new PrismaPg(
    {
      connectionString: database_url,
      max: connections,
      connectionTimeoutMillis: 3_000,
      idleTimeoutMillis: 30_000,
      statement_timeout: 10_000,
      query_timeout: silence_ms,
      lock_timeout: 4_000,
      idle_in_transaction_session_timeout: 10_000,
      application_name: 'guitai',
    },
    { statementNameGenerator: ({ sql }) => `s${createHash('md5').update(sql).digest('hex')}` },
  );
  return new PrismaClient({ adapter, errorFormat: 'minimal' });
}

/** A unique key was already taken: somebody else did the same a moment ago. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
}

/** The database is there but had no connection, or a lock was held too long: the same request may work in a moment. */
export function isOverload(error: unknown): boolean {
  return (
    error instanceof Prisma.PrismaClientKnownRequestError &&
    (error.code === 'P2028' || error.code === 'P2024' || /Code: `55P03`/.test(error.message))
  );
}

/** One PostgreSQL session outside the pool, for what needs one: COPY, temporary tables, session locks. */
export type DbSession = Client;

/** Runs `work` in a session of its own and ends it, whatever happened. No statement limit: a bill may be large. */
export async function withSession<Result>(
  database_url: string,
  work: (session: DbSession) => Promise<Result>,
): Promise<Result> {
  const session = new Client({
    connectionString: database_url,
    connectionTimeoutMillis: 3_000,
    lock_timeout: 10_000,
    application_name: 'guitai-bill',
  });
  await session.connect();
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}
