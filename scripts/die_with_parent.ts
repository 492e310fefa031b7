// Loaded into every child of a demo: when the channel to the parent breaks, because it was killed, the child ends
// too. Does nothing in a process without such a channel.
const patience_ms = 10_000;

process.once('disconnect', () => {
  setTimeout(() => process.exit(1), patience_ms).unref();
  process.kill(process.pid, 'SIGTERM');
});
process.channel?.unref();
