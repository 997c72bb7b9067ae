// One setup at a time in a folder, and the programs that it runs. Part of setup.mjs: plain JavaScript, no dependencies.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const LOCK_STALE_AFTER_MS = 20_000;
const ORPHAN_PATIENCE_MS = 600_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Waits until no other setup works in this folder. Returns what gives the lock back. */
export async function lock(lockFile, say) {
  fs.mkdirSync(path.dirname(lockFile), { recursive: true });
  for (let waiting = false; ; waiting = true) {
    try {
      fs.writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isAbandoned(lockFile)) fs.rmSync(lockFile, { force: true });
    else {
      if (!waiting) say('another setup is at work in this folder, waiting for it …');
      await new Promise((done) => setTimeout(done, 300));
    }
  }
  const heartbeat = setInterval(() => {
    try {
      fs.utimesSync(lockFile, new Date(), new Date());
    } catch {
      // Someone removed it by hand: the work goes on.
    }
  }, 2_000);
  const drop = () => fs.rmSync(lockFile, { force: true });
  process.once('exit', drop);
  return () => {
    clearInterval(heartbeat);
    process.off('exit', drop);
    drop();
  };
}

/** The lock names the setup and the program that it runs, which may live on for a while when the setup is killed. */
function isAbandoned(lockFile) {
  let silentMs;
  let owner;
  try {
    silentMs = Date.now() - fs.statSync(lockFile).mtimeMs;
    owner = fs.readFileSync(lockFile, 'utf8');
  } catch {
    // Given back meanwhile.
    return false;
  }
  const [setupPid, childPid] = owner.split(' ').map(Number);
  if (isAlive(childPid)) return silentMs > ORPHAN_PATIENCE_MS;
  return silentMs > LOCK_STALE_AFTER_MS || setupPid === process.pid || (setupPid > 0 && !isAlive(setupPid));
}

function isAlive(pid) {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

/** Runs a program to its end. A signal to the setup is handed to it, and the setup ends only after it. */
export function run(command, args, { cwd, env, lockFile }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    // At once: a setup that is killed right now leaves this program behind.
    if (child.pid !== undefined && fs.existsSync(lockFile))
      fs.writeFileSync(lockFile, `${process.pid} ${child.pid}`);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        output += text;
      });
    let ended = 0;
    const stop = (signal) => {
      ended = 128 + os.constants.signals[signal];
      child.kill();
      setTimeout(() => child.kill('SIGKILL'), 5_000).unref();
    };
    for (const signal of SIGNALS) process.on(signal, stop);
    child.once('error', reject);
    child.once('close', (code) => {
      for (const signal of SIGNALS) process.off(signal, stop);
      if (ended > 0) process.exit(ended);
      resolve({ code, output });
    });
  });
}
