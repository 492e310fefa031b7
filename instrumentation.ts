/**
 * Next runs this once before the first request, and compiles it for its edge runtime as well, which has neither files
 * nor a process to end: what a server does stands in a file of its own, which only a server imports.
 */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME === 'nodejs') {
    await import('./instrumentation_node.ts');
  }
}
