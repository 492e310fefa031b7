// Loaded into every child of a demo: when the channel to the parent breaks, because it was killed, the child ends
// too. Does nothing in a grandchild, which inherits the option but has a channel of its own to keep.
const patience_ms = 10_000;

if (process.env.GUITAI_PARENT === String(process.ppid)) {
  process.once('disconnect', () => {
    setTimeout(() => process.exit(1), patience_ms).unref();
    process.kill(process.pid, 'SIGTERM');
  });
  process.channel?.unref();
}
