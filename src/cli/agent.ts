/** Whether a program that works for a person runs the command: it reads what is printed, and nobody looks at a screen. */

/** Variables that such programs set for the commands they run; the value of the first names it. */
const marks: readonly { variable: RegExp; name: string | null }[] = [
  { variable: /^AI_AGENT$/, name: null },
  { variable: /^(CLAUDECODE|CLAUDE_CODE)$/, name: 'claude-code' },
  { variable: /^CODEX_(SANDBOX\w*|CI|THREAD_ID|MANAGED_\w+)$/, name: 'codex' },
  { variable: /^(CURSOR_AGENT|CURSOR_TRACE_ID)$/, name: 'cursor' },
  { variable: /^GEMINI_CLI$/, name: 'gemini-cli' },
  { variable: /^COPILOT_AGENT\w*$/, name: 'copilot' },
  { variable: /^(OPENCODE|OPENCODE_CLIENT)$/, name: 'opencode' },
  { variable: /^AUGMENT_AGENT$/, name: 'augment' },
  { variable: /^CLINE_ACTIVE$/, name: 'cline' },
]

/** All variables that may tell of an agent: for whoever wants none. */
export function isAgentVariable(name: string): boolean {
  return name === 'DW_AGENT' || marks.some(({ variable }) => variable.test(name))
}

/**
 * @returns the name of the agent, or null where a person sits there. DW_AGENT decides where it is set: `0` for nobody, else the name.
 */
export function agentOf(env: NodeJS.ProcessEnv): string | null {
  const own = env.DW_AGENT ?? ''
  if (own !== '') return isNo(own) ? null : own
  for (const { variable, name } of marks) {
    for (const [found, value = ''] of Object.entries(env)) {
      if (variable.test(found) && value !== '' && !isNo(value)) return name ?? value
    }
  }
  return null
}

function isNo(value: string): boolean {
  return /^(0|false|no|off)$/i.test(value)
}
