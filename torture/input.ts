/** Inputs nobody meant to send, made by changing others; those that reach new code are changed further. */
import { addressTarget } from './input/address-target.ts'
import { answerTarget } from './input/answer-target.ts'
import { bodyTarget } from './input/body-target.ts'
import { startCoverage } from './input/coverage.ts'
import { fileTarget } from './input/file-target.ts'
import { fuzz } from './input/fuzz.ts'
import { type HttpDefects, openScene } from './input/http-scene.ts'
import { idTarget } from './input/id-target.ts'
import { logTarget } from './input/log-target.ts'
import { rangeTarget } from './input/range-target.ts'
import { recordTarget } from './input/record-target.ts'
import { requestTarget } from './input/request-target.ts'
import { uploadTarget } from './input/upload-target.ts'
import { type Suite, Tally } from './suite.ts'

/** Code whose blocks count: the product's own, and the parsers of forms and of queries. */
const OUR_CODE = /\/src\/|busboy|find-my-way|fast-querystring/
const SHORT_MINUTES = 0.5

const defects = {
  'misses-duplicates': 'the validator says nothing of repeated ids',
  'accepts-garbage': 'damaged frames and records are read as if none had a checksum',
  'answers-with-500': 'the server answers refusals with 500',
  'alters-uploads': 'one byte of a file is another when it is read back',
}

export const suite: Suite = {
  name: 'input',
  does: 'generated and mutated files, log segments, records, answers, ids, ranges, forms and HTTP requests, guided by coverage',
  unit: 'input',
  short: { cycles: 0, minutes: SHORT_MINUTES },
  full: { cycles: 0, minutes: 30 },
  defects,
  async run(options) {
    const has = (defect: keyof typeof defects): boolean => options.defect === defect
    const tally = new Tally(options.say)
    const harm: HttpDefects = { failsRefusals: has('answers-with-500'), altersUploads: has('alters-uploads') }
    const coverage = await startCoverage(OUR_CODE)
    const scene = await openScene(harm)
    try {
      const targets = [
        fileTarget({ missesDuplicates: has('misses-duplicates') }),
        logTarget({ skipsChecksums: has('accepts-garbage') }),
        recordTarget({ skipsChecksums: has('accepts-garbage') }),
        answerTarget(),
        rangeTarget(),
        idTarget(),
        uploadTarget(scene),
        bodyTarget(scene),
        addressTarget(scene),
        requestTarget(scene),
      ]
      await fuzz({ tally, options, coverage, targets, minutes: options.minutes ?? SHORT_MINUTES })
    } finally {
      await scene.stop()
      coverage.stop()
    }
    return tally.report()
  },
}
