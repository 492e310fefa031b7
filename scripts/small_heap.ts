// Imported first by processes that read bills: V8's room for new objects stays at a few megabytes. Left alone it grows to
// more than a hundred under a stream of a million rows, none of which lives longer than its line.
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--semi-space-growth-factor=1');
