// A database of its own for a test file: a copy of the migrated template, gone when the file is done.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

export interface TestDatabase {
  url: string;
  /** Also ends whatever is still connected. Files that forget are cleaned up after. */
  drop(): Promise<void>;
}

const undropped = new Set<TestDatabase>();

/** A fresh copy of the migrated, empty database with its queues; or, for those who migrate, one with nothing in it. */
export async function createTestDatabase({ migrated = true } = {}): Promise<TestDatabase> {
  const { server_url, template: migrated_template } = inject('postgres');
  const template = migrated ? migrated_template : 'template0';
  const name = `test_${randomBytes(8).toString('hex')}`;
  await onServer(server_url, `create database ${name} template ${template}`);
  const address = new URL(server_url);
  address.pathname = `/${name}`;
  const database: TestDatabase = {
    url: address.href,
    drop: async () => {
      undropped.delete(database);
      await onServer(server_url, `drop database if exists ${name} with (force)`);
    },
  };
  undropped.add(database);
  return database;
}

/** Drops what this file made and kept. */
export async function dropTestDatabases(): Promise<void> {
  for (const database of [...undropped]) await database.drop();
}

async function onServer(server_url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server_url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
