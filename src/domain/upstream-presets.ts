/** Engines and services that people name instead of typing an address. Data alone: `upstream-presets.test.ts` holds every row against its rules. */

export type UpstreamPreset = {
  name: string
  /** Ends in the version of the API. */
  url: string
  /** Variable of the environment in which its users keep their key; null: it takes none. */
  keyVariable: string | null
  isKeyNeeded: boolean
  /** Guess: where it starts; the server slows down by itself when the engine says that it is busy. */
  concurrency: number
  says: string
}

const local = { keyVariable: null, isKeyNeeded: false }
const hosted = { isKeyNeeded: true }

export const upstreamPresets: readonly UpstreamPreset[] = [
  {
    ...local,
    name: 'vllm',
    url: 'http://localhost:8000/v1',
    keyVariable: 'VLLM_API_KEY',
    concurrency: 64,
    says: 'vLLM',
  },
  {
    ...local,
    name: 'sglang',
    url: 'http://localhost:30000/v1',
    keyVariable: 'SGLANG_API_KEY',
    concurrency: 64,
    says: 'SGLang',
  },
  { ...local, name: 'ollama', url: 'http://localhost:11434/v1', concurrency: 4, says: 'Ollama' },
  {
    ...local,
    name: 'llamacpp',
    url: 'http://localhost:8080/v1',
    keyVariable: 'LLAMA_API_KEY',
    concurrency: 4,
    says: 'llama.cpp',
  },
  { ...local, name: 'lmstudio', url: 'http://localhost:1234/v1', concurrency: 2, says: 'LM Studio' },
  {
    ...hosted,
    name: 'openai',
    url: 'https://api.openai.com/v1',
    keyVariable: 'OPENAI_API_KEY',
    concurrency: 16,
    says: 'OpenAI',
  },
  {
    ...hosted,
    name: 'together',
    url: 'https://api.together.xyz/v1',
    keyVariable: 'TOGETHER_API_KEY',
    concurrency: 16,
    says: 'Together',
  },
  {
    ...hosted,
    name: 'groq',
    url: 'https://api.groq.com/openai/v1',
    keyVariable: 'GROQ_API_KEY',
    concurrency: 8,
    says: 'Groq',
  },
  {
    ...hosted,
    name: 'openrouter',
    url: 'https://openrouter.ai/api/v1',
    keyVariable: 'OPENROUTER_API_KEY',
    concurrency: 16,
    says: 'OpenRouter',
  },
  {
    ...hosted,
    name: 'mistral',
    url: 'https://api.mistral.ai/v1',
    keyVariable: 'MISTRAL_API_KEY',
    concurrency: 8,
    says: 'Mistral',
  },
  {
    ...hosted,
    name: 'deepseek',
    url: 'https://api.deepseek.com/v1',
    keyVariable: 'DEEPSEEK_API_KEY',
    concurrency: 16,
    says: 'DeepSeek',
  },
  {
    ...hosted,
    name: 'fireworks',
    url: 'https://api.fireworks.ai/inference/v1',
    keyVariable: 'FIREWORKS_API_KEY',
    concurrency: 8,
    says: 'Fireworks',
  },
  {
    ...hosted,
    name: 'deepinfra',
    url: 'https://api.deepinfra.com/v1/openai',
    keyVariable: 'DEEPINFRA_API_KEY',
    concurrency: 8,
    says: 'DeepInfra',
  },
  {
    ...hosted,
    name: 'xai',
    url: 'https://api.x.ai/v1',
    keyVariable: 'XAI_API_KEY',
    concurrency: 8,
    says: 'xAI',
  },
  {
    ...hosted,
    name: 'gemini',
    url: 'https://generativelanguage.googleapis.com/v1beta/openai',
    keyVariable: 'GEMINI_API_KEY',
    concurrency: 8,
    says: 'Gemini',
  },
]

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

export function isLocalPreset({ url }: UpstreamPreset): boolean {
  return LOOPBACK.has(new URL(url).hostname)
}
