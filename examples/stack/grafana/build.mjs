// Writes dashboards/*.json from src. With --check, fails if a committed file differs or has no source.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dashboards } from './.build/index.js';

const folder = new URL('dashboards/', import.meta.url);
const check = process.argv.includes('--check');
const stale = [];
const names = Object.keys(dashboards).map((name) => `${name}.json`);

for (const [name, dashboard] of Object.entries(dashboards)) {
  const file = new URL(`${name}.json`, folder);
  const fresh = `${JSON.stringify(dashboard, null, 2)}\n`;
  if (!check) {
    writeFileSync(file, fresh);
  } else if (!readdirSync(folder).includes(`${name}.json`) || readFileSync(file, 'utf8') !== fresh) {
    stale.push(`${name}.json`);
  }
}
stale.push(...readdirSync(folder).filter((name) => !names.includes(name)));
if (stale.length > 0) {
  console.error(`run "npm run build": these are not what src says: ${stale.join(', ')}`);
  process.exit(1);
}
console.log(`${names.length} dashboards, ${check ? 'as committed' : 'written'}`);
