// Makes a fresh or changed checkout runnable: installs the dependencies, which bring the pinned Node, and builds.
// Plain JavaScript without dependencies, since it runs before there are any, on whatever Node from 18 on the host has.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { lock, run } from './setup-lock.mjs';

const OLDEST_NODE = [22, 19];
const SOURCE_FOLDERS = ['src', 'kernels', 'routers', 'config'];

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => path.join(root, ...parts);
const installStamp = at('node_modules', '.setup-stamp');
const buildStamp = at('dist', '.setup-stamp');
const bundledNode = at('node_modules', '.bin', 'node');
const lockFile = at('.cache', 'setup.lock');

/** An error whose message is meant for the person at the terminal, and says what to do. */
class SetupError extends Error {}

const say = (text) => process.stderr.write(`setup: ${text}\n`);
const readText = (file) => {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};

async function main() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 18)
    throw new SetupError(`Node ${process.versions.node} is too old: install Node 24 (https://nodejs.org).`);
  if (isInstalled() && isBuilt()) return requireNode();
  const release = await lock(lockFile, say);
  try {
    if (!isInstalled()) await install();
    requireNode();
    if (!isBuilt()) await build();
  } finally {
    release();
  }
}

// Installing

function lockHash() {
  const text = readText(at('package-lock.json'));
  if (text === undefined)
    throw new SetupError('package-lock.json is missing: check out the whole repository.');
  return createHash('sha256').update(text).update(`${process.platform} ${process.arch}`).digest('hex');
}

function isInstalled() {
  if (readText(installStamp) === lockHash())
    return Object.keys(JSON.parse(readText(at('package.json')) ?? '{}').dependencies ?? {}).every((name) =>
      fs.existsSync(at('node_modules', name, 'package.json')),
    );
  if (!installedByHand()) return false;
  fs.writeFileSync(installStamp, lockHash());
  return true;
}

/** Whether `npm install` has already brought exactly what the lock file says, by npm's own record of it. */
function installedByHand() {
  const record = readText(at('node_modules', '.package-lock.json'));
  if (record === undefined) return false;
  const installed = JSON.parse(record).packages;
  const wanted = JSON.parse(readText(at('package-lock.json')) ?? '{}').packages;
  const fits = (list, own) => !list || list.includes(own);
  return Object.entries(wanted).every(([where, entry]) => {
    if (where === '') return true;
    if (entry.optional && !(fits(entry.os, process.platform) && fits(entry.cpu, process.arch))) return true;
    const there = installed[where];
    if (!there) return Boolean(entry.optional && entry.libc);
    return there.version === entry.version && fs.existsSync(at(where, 'package.json'));
  });
}

async function install() {
  const first = !fs.existsSync(at('node_modules'));
  say(
    `installing dependencies${first ? ' (first start, about 700 MB)' : ', since they changed or are incomplete'} …`,
  );
  const began = Date.now();
  fs.rmSync(installStamp, { force: true });
  const still = setInterval(() => say(`still installing, ${seconds(began)} so far …`), 15_000);
  const args = ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  try {
    let result = await runNpm([...args, '--loglevel=error']);
    if (result.code !== 0 && /ENOTEMPTY/.test(result.output)) {
      // What an interrupted npm left behind can be in the way of the next one.
      fs.rmSync(at('node_modules'), { recursive: true, force: true, maxRetries: 3 });
      result = await runNpm([...args, '--loglevel=error']);
    }
    if (result.code !== 0) throw new SetupError(installFailure(result.output));
  } finally {
    clearInterval(still);
  }
  linkNode();
  fs.writeFileSync(installStamp, lockHash());
  say(`dependencies installed in ${seconds(began)}`);
}

/** Runs the host's npm: not under the Node inside node_modules, which npm is about to replace. */
async function runNpm(args) {
  const own = at('node_modules', '.bin');
  const searchPath = (process.env.PATH ?? '')
    .split(path.delimiter)
    .filter((folder) => path.resolve(folder) !== own);
  const env = { ...process.env, PATH: searchPath.join(path.delimiter), ...npmCache() };
  try {
    return await run('npm', args, { cwd: root, env, lockFile });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('npm-cli.js'))
    return await run(process.execPath, [cli, ...args], {
      cwd: root,
      env: { ...process.env, ...npmCache() },
      lockFile,
    });
  throw new SetupError('npm is missing: install Node 24 together with npm (https://nodejs.org).');
}

/** Users that only run services have no home that npm could keep its cache in: theirs is here. */
function npmCache() {
  const home = process.env.HOME ?? os.userInfo().homedir;
  if (isWritable(process.env.npm_config_cache ?? path.join(home, '.npm'))) return {};
  return { npm_config_cache: at('.cache', 'npm') };
}

/** Whether it can be written, or made if it is not there. */
function isWritable(folder) {
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return true;
  } catch (error) {
    return error.code === 'ENOENT' && folder !== path.dirname(folder) && isWritable(path.dirname(folder));
  }
}

function installFailure(output) {
  const has = (pattern) => pattern.test(output);
  fs.writeFileSync(at('.cache', 'setup.log'), output);
  const tail = 'The whole output of npm is in .cache/setup.log.';
  if (has(/ENOSPC|EDQUOT/)) return `the disk is full: node_modules needs about 700 MB in ${root}. ${tail}`;
  if (
    has(/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT/)
  )
    return `the npm registry cannot be reached: check the network, or name a mirror with "npm config set registry URL". ${tail}`;
  if (has(/EACCES|EPERM|EROFS/))
    return `node_modules cannot be written in ${root}: check its owner and permissions. ${tail}`;
  if (has(/EINTEGRITY/))
    return `a package is not the one that package-lock.json names: run "npm cache clean --force" and try again. ${tail}`;
  if (has(/EUSAGE/)) return `package.json and package-lock.json disagree: run "npm install" once. ${tail}`;
  const reason = output.split('\n').find((line) => line.startsWith('npm error')) ?? 'npm gave no reason';
  return `npm could not install the dependencies: ${reason}. ${tail}`;
}

// Node

/** npm 10 leaves a command called "node" out of node_modules/.bin, where npm scripts look first. */
function linkNode() {
  const binary = `node-${process.platform}-${process.arch}/bin/node`;
  if (fs.existsSync(bundledNode) || !fs.existsSync(at('node_modules', binary))) return;
  fs.symlinkSync(`../${binary}`, bundledNode);
}

/** Makes sure that `env node` finds a Node that is new enough, once npm has put node_modules/.bin in front of PATH. */
function requireNode() {
  if (fs.existsSync(bundledNode)) {
    if (readText(`${installStamp}-node`) === 'ok') return;
    const found = versionOf(bundledNode);
    if (found && isNewEnough(found)) return fs.writeFileSync(`${installStamp}-node`, 'ok');
    // The bundled Node needs glibc, so it cannot run on a musl system such as Alpine: leave the field to the host's.
    fs.rmSync(bundledNode);
  }
  if (isNewEnough(process.versions.node)) return;
  throw new SetupError(
    `Node ${process.versions.node} is too old and no newer one comes with the dependencies on ${process.platform} ${process.arch}: ` +
      `install Node ${OLDEST_NODE.join('.')} or newer (https://nodejs.org).`,
  );
}

function versionOf(binary) {
  const { status, stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim().slice(1) : undefined;
}

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
}

// Building

/** Path, size and time of everything that the build reads. */
function sources() {
  const files = ['tsconfig.json', 'tsconfig.build.json', 'package.json'];
  for (const folder of SOURCE_FOLDERS) collect(folder, files);
  return files.sort().map((file) => {
    const { size, mtimeMs } = fs.statSync(at(file));
    return `${file} ${size} ${mtimeMs}`;
  });
}

function collect(folder, files) {
  if (!fs.existsSync(at(folder))) return;
  for (const entry of fs.readdirSync(at(folder), { withFileTypes: true })) {
    const file = `${folder}/${entry.name}`;
    if (entry.isDirectory()) collect(file, files);
    else if (/\.[cm]?ts$/.test(file) && !/\.(test|contract)\.ts$/.test(file)) files.push(file);
  }
}

const buildKey = () => [lockHash(), ...sources()].join('\n');
const isBuilt = () => readText(buildStamp) === buildKey();

async function build() {
  say('building …');
  const began = Date.now();
  const before = readText(buildStamp);
  const key = buildKey();
  // An incremental build leaves the output of deleted sources behind, so a changed set of files starts from nothing.
  if (before === undefined || fileSet(before) !== fileSet(key))
    fs.rmSync(at('dist'), { recursive: true, force: true });
  else fs.rmSync(buildStamp);
  const node = fs.existsSync(bundledNode) ? bundledNode : process.execPath;
  const tsc = at('node_modules', 'typescript', 'bin', 'tsc');
  const { code, output } = await run(node, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: root,
    env: process.env,
    lockFile,
  });
  if (code !== 0) {
    process.stderr.write(output);
    throw new SetupError('the sources do not compile: see the errors above.');
  }
  fs.writeFileSync(buildStamp, key);
  say(`built in ${seconds(began)}`);
}

/** Also counts a change of the compiler (the lock file) and of its options as another set of files. */
function fileSet(key) {
  const lines = key.split('\n');
  return lines.map((line) => (/^(tsconfig|package)/.test(line) ? line : line.split(' ')[0])).join('\n');
}

// Small things

function seconds(began) {
  return `${((Date.now() - began) / 1000).toFixed(1)} s`;
}

try {
  await main();
} catch (error) {
  const full = {
    ENOSPC: 'the disk is full',
    EACCES: 'permission denied',
    EROFS: 'the file system is read-only',
  }[error.code];
  say(error instanceof SetupError ? error.message : full ? `cannot write in ${root}: ${full}.` : error.stack);
  process.exitCode = 1;
}
