import { type Command, InvalidArgumentError } from 'commander';
import { newApiKey } from '../access/api-key.ts';
import { CALLABLE_PATHS } from '../api/admin/tenant-schemas.ts';
import type { Role } from '../core/caller.ts';
import { type ApiKey, ApiKeys } from '../store/api-keys.ts';
import { projectFor } from '../store/named.ts';
import { changingTogether } from '../store/revision.ts';
import { durationMs, list, timeToComeMs } from './flag-values.ts';
import { dateText, keyTable, keyViews } from './key-view.ts';
import type { Environment } from './run.ts';
import { type TermsFlags, termsChange, withTermsOptions } from './terms-flags.ts';
import {
  type DatabaseFlags,
  jsonText,
  refuse,
  tellMade,
  warnOfUnserved,
  withDatabase,
  withDatabaseOptions,
} from './with-database.ts';

const DEFAULT_OVERLAP_MS = durationMs('24h');

/** `qianmen key …` */
export function addKeyCommands(program: Command, env: Environment): void {
  const key = program.command('key').description('make, list, rotate and revoke API keys');

  const create = key
    .command('create')
    .description('make a key and show its secret, once')
    .option('--name <text>', 'what people know it by', 'unnamed')
    .option('--organization <name|id>', 'whose it is; made if it is not there (default: "default")')
    .option('--project <name|id>', 'what it is for; made if it is not there (default: "default")')
    .option('--role <role>', 'user, organization-viewer, organization-admin, viewer or admin', 'user')
    .option('--models <list>', 'the only models it may use', list)
    .option('--endpoints <list>', 'the only paths it may use, such as /v1/embeddings', endpoints)
    .option('--expires-in <time>', 'how long it is valid, such as 90d (default: for ever)', timeToComeMs);
  withDatabaseOptions(withTermsOptions(create)).action((flags) => createKey(flags, env));

  const listing = key
    .command('list')
    .description('list the keys that are valid; secrets are known to nobody')
    .option('--organization <name|id>', 'only its keys')
    .option('--project <name|id>', 'only its keys')
    .option('--all', 'also those that are revoked, expired or archived');
  withDatabaseOptions(listing).action((flags) => listKeys(flags, env));

  const rotate = key
    .command('rotate')
    .description('give a key another secret and show it, once')
    .argument('<id>', 'key_…')
    .option('--overlap <time>', 'how long the secret before stays valid (default: 24h)', durationMs)
    .option(
      '--expires-in <time>',
      'how long the key is valid from now on (default: as before)',
      timeToComeMs,
    );
  withDatabaseOptions(rotate).action((id: string, flags) => rotateKey(id, flags, env));

  const revoke = key.command('revoke').description('end a key, for good').argument('<id>', 'key_…');
  withDatabaseOptions(revoke).action((id: string, flags) => revokeKey(id, flags, env));
}

interface CreateFlags extends DatabaseFlags, TermsFlags {
  readonly name: string;
  readonly organization?: string;
  readonly project?: string;
  readonly role: string;
  readonly models?: readonly string[];
  readonly endpoints?: readonly string[];
  readonly expiresIn?: number;
}

function createKey(flags: CreateFlags, env: Environment): Promise<void> {
  return withDatabase(flags, env, async (database, config) => {
    const { id, hash, secret } = newApiKey();
    const { name, models, endpoints } = flags;
    const scope = { role: flags.role as Role, models, endpoints, expiresAtMs: endOf(flags) };
    const { key, made, isFirst } = await changingTogether(database, async (together) => {
      const { project, made } = await projectFor(together, flags);
      const keys = new ApiKeys(together);
      const isFirst = !(await keys.any());
      const given = { id, hash, name, projectId: project.id, ...scope, ...termsChange(flags) };
      return { key: await keys.create(given), made, isFirst };
    });
    tellMade(made);
    warnOfUnserved(flags, config, { models, demands: key.demands });
    showSecret(flags, key, secret);
    if (isFirst)
      process.stderr.write(
        'It is the first: from now on every request to a gateway on this database needs a key.\n',
      );
  });
}

interface ListFlags extends DatabaseFlags {
  readonly organization?: string;
  readonly project?: string;
  readonly all?: boolean;
}

function listKeys(flags: ListFlags, env: Environment): Promise<void> {
  return withDatabase(flags, env, async (database) => {
    const all = await keyViews(database, flags, Date.now());
    const shown = flags.all ? all : all.filter(({ state }) => state === 'valid');
    if (flags.json) process.stdout.write(jsonText(shown));
    else process.stdout.write(shown.length === 0 ? 'There are no keys.\n' : keyTable(shown));
  });
}

interface RotateFlags extends DatabaseFlags {
  readonly overlap?: number;
  readonly expiresIn?: number;
}

function rotateKey(id: string, flags: RotateFlags, env: Environment): Promise<void> {
  const { overlap: overlapMs = DEFAULT_OVERLAP_MS } = flags;
  return withDatabase(flags, env, async (database) => {
    const { hash, secret } = newApiKey();
    const key = await new ApiKeys(database).rotate(id, hash, {
      overlapMs,
      expiresAtMs: endOf(flags),
    });
    if (key === undefined) throw refuse(`there is no key ${id} that could be rotated`);
    showSecret(flags, key, secret);
    const until =
      overlapMs === 0
        ? 'is not valid any more'
        : `is valid until ${dateText(Date.now() + overlapMs)} at most`;
    process.stderr.write(`The secret before ${until}.\n`);
  });
}

function revokeKey(id: string, flags: DatabaseFlags, env: Environment): Promise<void> {
  return withDatabase(flags, env, async (database) => {
    if (!(await new ApiKeys(database).revoke(id)))
      throw refuse(`there is no key ${id} that could be revoked`);
    process.stdout.write(
      flags.json
        ? jsonText({ id, revoked: true })
        : `${id} is revoked. Gateways refuse it within two seconds.\n`,
    );
  });
}

/** @throws InvalidArgumentError where one is none: with such a key nothing could be done, and nobody would know why */
function endpoints(text: string): readonly string[] {
  const paths = list(text);
  if (!paths.every((path) => CALLABLE_PATHS.includes(path)))
    throw new InvalidArgumentError(`must be some of ${CALLABLE_PATHS.join(', ')}.`);
  return paths;
}

function endOf({ expiresIn }: { readonly expiresIn?: number }): number | undefined {
  return expiresIn === undefined ? undefined : Date.now() + expiresIn;
}

function showSecret({ json }: DatabaseFlags, key: ApiKey, secret: string): void {
  if (json) {
    process.stdout.write(jsonText({ ...key, secret }));
    return;
  }
  process.stdout.write(
    `id       ${key.id}\nname     ${key.name}\nexpires  ${dateText(key.expiresAtMs)}\nsecret   ${secret}\n\n` +
      'The secret is shown this once: the database only has its hash.\n',
  );
}
