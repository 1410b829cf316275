/** Every variable of the environment that the command line reads. `dw help environment` and the docs print this table. */

export type EnvironmentVariable = { names: readonly string[]; says: string }

export const environmentVariables: readonly EnvironmentVariable[] = [
  { names: ['DW_SERVER'], says: 'address of the server' },
  {
    names: ['DW_API_KEY'],
    says: 'key; goes to --server or DW_SERVER, else to the host of the active profile',
  },
  { names: ['DW_OWNER_TOKEN'], says: 'owner token, for admin commands away from the machine of the server' },
  { names: ['DW_COMPLETION_WINDOW'], says: 'as --completion-window' },
  { names: ['DW_MODEL'], says: 'as --model, where a model is needed' },
  { names: ['DW_ALLOW_FAILURES'], says: 'as --allow-failures' },
  {
    names: ['OPENAI_BASE_URL', 'OPENAI_API_KEY'],
    says: 'both set, they name a server and its key; the key alone is used for its own service only',
  },
  { names: ['DW_DATABASE'], says: 'as --database of dw serve; for an address with a password' },
  { names: ['DW_STATE_DIR'], says: 'folder of local state: found servers, the last upload' },
  {
    names: ['XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'XDG_DATA_HOME'],
    says: 'where configuration, state and data are kept',
  },
  { names: ['NO_COLOR'], says: 'set to anything: no colour' },
  {
    names: ['CLICOLOR_FORCE'],
    says: 'set, and not 0: colour also without a terminal, unless NO_COLOR is set',
  },
  { names: ['CI'], says: 'set: no question is asked' },
  { names: ['DW_LOG'], says: 'error, warn, info or debug: tell so much on standard error; debug is --debug' },
  {
    names: ['DW_LOG_FILE'],
    says: 'write that to the end of this file instead, for its owner alone; info where DW_LOG is not set',
  },
  { names: ['DW_PAGER', 'PAGER'], says: 'command that shows long lists on a terminal' },
  {
    names: ['DW_AGENT', 'AI_AGENT'],
    says: 'name of the agent that runs the command (found by itself for known ones); DW_AGENT=0: none',
  },
]
