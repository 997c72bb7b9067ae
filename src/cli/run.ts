import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { packageRoot } from '../../config/package-root.ts';
import { addDatabaseCommands } from './database.ts';
import { decimal, wholeNumber } from './flag-values.ts';
import { addKeyCommands } from './key.ts';
import { addOrganizationCommands, addProjectCommands } from './tenant.ts';

/** What commands may know of the process; nothing else reads it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Commands are loaded when they are called: all that serving needs takes longer than most of them do. */
export async function run(argv: readonly string[], env: Environment): Promise<void> {
  const { version } = JSON.parse(readFileSync(new URL('package.json', packageRoot()), 'utf8')) as {
    version: string;
  };
  const program = new Command('qianmen')
    .description('One OpenAI-compatible door in front of every model you run.')
    .version(version)
    .showHelpAfterError();

  program
    .command('serve', { isDefault: true })
    .description('serve models; with no configuration: smollm2-135m-instruct on 127.0.0.1:8080')
    .option('-c, --config <file>', 'configuration file (default: qianmen.yaml, if there is one)')
    .option('--host <address>', 'address to listen on')
    .option('-p, --port <number>', 'port to listen on', portNumber)
    .option('--data-dir <folder>', 'where models and other data are kept')
    .action(async (flags) => (await import('./serve.ts')).serve(flags, env));

  program
    .command('pull')
    .description('fetch a model of the catalogue; without a name: list them')
    .argument('[model]', 'name in the catalogue')
    .option('--data-dir <folder>', 'where models are kept', './data')
    .action(async (name: string | undefined, flags) => (await import('./pull.ts')).pull(name, flags, env));

  program
    .command('replay')
    .description(
      'decide recorded decisions again under another policy, or run a public trace through simulated engines',
    )
    .argument(
      '<file>',
      'decisions.jsonl, as `decisions.log: true` writes it, or a trace of Mooncake or Azure',
    )
    .requiredOption('--policy <name>', 'the other policy')
    .option('--model <name>', 'only decisions about this model')
    .option('--engines <number>', 'of a trace: how many engines', wholeNumber, 8)
    .option('--small', 'of a trace: engines with a model of 8B instead of one of 70B')
    .option('--load <factor>', 'of a trace: so many times its own rate', decimal, 1)
    .option('--seed <number>', 'of a trace: another one draws otherwise', wholeNumber, 1)
    .option('--json', 'print the result as JSON')
    .action(async (log: string, flags) => (await import('./replay.ts')).replay(log, flags));

  program
    .command('doctor')
    .description(
      'check the machine, the configuration, every local model (for a second each) and every upstream',
    )
    .option('-c, --config <file>', 'configuration file (default: qianmen.yaml, if there is one)')
    .option('--host <address>', 'address to listen on')
    .option('-p, --port <number>', 'port to listen on', portNumber)
    .option('--data-dir <folder>', 'where models and other data are kept')
    .option('--json', 'print the result as JSON')
    .action(async (flags) => (await import('./doctor.ts')).doctor(flags, env));

  addKeyCommands(program, env);
  addProjectCommands(program, env);
  addOrganizationCommands(program, env);
  addDatabaseCommands(program, env);

  const [, , word] = argv;
  if (
    word !== undefined &&
    /^[a-z]/.test(word) &&
    ![...program.commands.map((command) => command.name()), 'help'].includes(word)
  ) {
    program.error(`error: unknown command '${word}'`);
  }
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.stderr.write(`qianmen: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError('must be a number from 0 to 65535.');
  return port;
}
