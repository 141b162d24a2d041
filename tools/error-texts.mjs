// What docs/errors.md says about each code: what happened, what it has cost, what to do. A code without a row here stops the generator.
const nothing = 'Nothing.'
const nothingSigned = 'Nothing. Nothing was signed.'
const unknown = 'Nothing by this call. What was ordered before it goes on; read the job to see its state.'

/** @type {{ readonly [code: string]: { readonly what: string, readonly charged: string, readonly fix: string } }} */
export const errorTexts = {
  INVALID_REQUEST: {
    what: 'A request, option or file does not have the form that is expected. `details` names each field.',
    charged: nothing,
    fix: 'Correct the fields named.',
  },
  INPUTS_INVALID: {
    what: 'The inputs do not fit the input schema of the module. `details` names each input, what was expected and what came.',
    charged: nothing,
    fix: 'Correct the inputs. `lilypad modules show <module>` lists them with an example.',
  },
  SIGNATURE_INVALID: {
    what: 'An ask, order, grant, reservation, receipt or voucher is not signed by the party it names, or was signed for another chain or vault.',
    charged: nothing,
    fix: 'Sign for the chain id and the vault of the network file. If another party signed it, ask for a new quote.',
  },
  WRONG_CHAIN: {
    what: 'The RPC endpoint or the solver serves another chain or another vault than the network file says, or the contracts are not at their addresses.',
    charged: nothing,
    fix: 'Use the endpoints that belong to the network file.',
  },
  WRONG_CONTRACT: {
    what: 'The code at the address of a contract is not the one whose hash the network file names.',
    charged: nothingSigned,
    fix: 'Get the network file anew from whoever runs the network, and check the RPC endpoint.',
  },
  DIGEST_MISMATCH: {
    what: 'Bytes do not have the SHA-256, or an object not the hash, under which they were named.',
    charged: nothing,
    fix: 'Try again, or use another solver. For a module of your own, build it again so that the manifest names the right program.',
  },
  UNAUTHORIZED: {
    what: 'A job can be read by its requester and its provider only, and the `Authorization` header proves neither. At the gateway: the API key is missing, wrong or revoked.',
    charged: nothing,
    fix: 'Sign an `Access` for the order hash with the key that ordered, with a time that is still to come. The SDK does this by itself: check the clock of the machine. At the gateway: send a key of it as `Authorization: Bearer` or `x-api-key`.',
  },
  INSUFFICIENT_BALANCE: {
    what: "The payer's money in the vault, without what it asked to withdraw and what its other jobs hold, does not cover the job; or an account has too little ether to send a transaction. At the gateway: the prepaid account or the budget of the key does not cover the request.",
    charged: nothing,
    fix: 'Deposit LILY for the payer (`lilypad wallet deposit`), wait for open jobs to end, or send the account some ether. At the gateway: have its operator credit the account, or ask for fewer tokens.',
  },
  READ_ONLY: {
    what: 'This client or server has no key, so it can look but not order.',
    charged: nothing,
    fix: 'Give it a key file and limits.',
  },
  GRANT_INVALID: {
    what: 'The key that signed is not the payer and brings no valid grant of the payer: it is missing, has ended, was revoked, or names another payer, key or token.',
    charged: nothing,
    fix: 'Have the payer sign a grant for this key. `lilypad up` renews the one of a local network.',
  },
  OVER_JOB_LIMIT: {
    what: 'The job may cost more than the limit for one job, of this client or of the grant.',
    charged: nothingSigned,
    fix: 'Choose a cheaper job, or let the owner of the money raise the limit.',
  },
  OVER_DAY_LIMIT: {
    what: 'With this job, the limit for one day would be passed. Open jobs count with the most they may cost.',
    charged: nothingSigned,
    fix: 'Wait, or let the owner of the money raise the limit.',
  },
  OVER_TOTAL_LIMIT: {
    what: 'With this job, the limit for all time would be passed. Open jobs count with the most they may cost.',
    charged: nothingSigned,
    fix: 'Let the owner of the money raise the limit.',
  },
  OVER_SESSION_LIMIT: {
    what: 'With this job, the limit for what one client spends from its start to its end would be passed.',
    charged: nothingSigned,
    fix: 'Let the owner of the money start the client anew, or raise the limit.',
  },
  OVER_HOUR_LIMIT: {
    what: 'As many jobs and payments as may be started in one hour were started in the last one.',
    charged: nothingSigned,
    fix: 'Wait, or let the owner of the money raise the limit.',
  },
  OVER_CONCURRENT_LIMIT: {
    what: 'As many jobs as may be open at once are open.',
    charged: nothingSigned,
    fix: 'Wait until one of them ends, or let the owner of the money raise the limit.',
  },
  PUBLISHER_NOT_ALLOWED: {
    what: 'The owner of the wallet has said whose modules may be bought, or may not, and who is paid otherwise; the author of this module, or this payee, is not among the allowed.',
    charged: nothingSigned,
    fix: 'Use a module of an allowed publisher, or let the owner change the list.',
  },
  APPROVAL_REQUIRED: {
    what: 'The owner of the wallet wants to approve what costs so much, and has not yet.',
    charged: nothingSigned,
    fix: 'Let the owner approve it, with `lilypad-mcp approve <quote_id>` in a terminal, then order the same quote again.',
  },
  APPROVAL_DECLINED: {
    what: 'The owner of the wallet declined this order, dismissed the question, or has set that nothing of this price is approved.',
    charged: nothingSigned,
    fix: 'Do not order it again unless the owner asks for it.',
  },
  APPROVAL_EXPIRED: {
    what: 'The owner answered too late: an approval counts for ten minutes at most, and no longer than its quote.',
    charged: nothingSigned,
    fix: 'Ask for a new quote and let the owner approve that.',
  },
  APPROVAL_INVALID: {
    what: 'What came as an approval was not made here, was changed or used before, or is about another order, amount or person.',
    charged: nothingSigned,
    fix: 'Order again without it; the owner is asked anew.',
  },
  SPENDING_STOPPED: {
    what: 'Several orders in a row held or cost money and gave no result (three, unless set otherwise), or the fate of two payments is unknown. Nothing is signed until a person resumes it.',
    charged: nothingSigned,
    fix: 'Let the owner look at `lilypad-mcp ledger` and then run `lilypad-mcp resume`.',
  },
  MODULE_NOT_ALLOWED: {
    what: 'The owner of the wallet has named the modules that may be bought, or may not, and this one may not.',
    charged: nothingSigned,
    fix: 'Use an allowed module, or let the owner add this one.',
  },
  ADDRESS_NOT_ALLOWED: {
    what: 'A URL that somebody else has given leads to this machine, a private network or the inside of a cloud, or is not https.',
    charged: nothing,
    fix: 'Use an https address on the public internet.',
  },
  PATH_NOT_ALLOWED: {
    what: 'A file lies outside of the folder that may be read or written, or its name cannot be used on this machine.',
    charged: nothing,
    fix: 'Put the file into the folder that was allowed, or allow another one.',
  },
  NOT_FOUND: {
    what: 'There is nothing at this address of the solver, or no file with this digest.',
    charged: nothing,
    fix: 'Check the address; publish the module before its program is uploaded.',
  },
  MODULE_UNKNOWN: {
    what: 'The registry or the solver knows no module of this name or version id.',
    charged: nothing,
    fix: 'Look for the name with `lilypad modules search`. A new module is published on chain first, then at the solver; `lilypad modules publish` does both.',
  },
  QUOTE_UNKNOWN: {
    what: 'No quote of this id was made with this store.',
    charged: nothing,
    fix: 'Ask for a quote first, with the same state folder.',
  },
  JOB_UNKNOWN: {
    what: 'No job of this id is known here, or it belongs to somebody else.',
    charged: nothing,
    fix: '`lilypad jobs` lists the jobs of this state folder.',
  },
  OUTPUT_UNKNOWN: {
    what: 'The job has no output of this path.',
    charged: nothing,
    fix: 'List the outputs of the job.',
  },
  PRICE_OVER_CAP: {
    what: 'The job costs more than the maximum given.',
    charged: nothing,
    fix: 'Raise the maximum, choose another module, or wait for a cheaper provider.',
  },
  QUOTE_USED: {
    what: 'The quote has been used for another order. (Reserved: ordering the same quote again gives the same job.)',
    charged: nothing,
    fix: 'Ask for a new quote.',
  },
  NONCE_USED: {
    what: 'Another order of the same lane carries this nonce. Each nonce of a lane pays one job.',
    charged: nothing,
    fix: 'Sign with the next nonce. With the SDK: do not copy a state folder to use it twice; a new folder is a new lane.',
  },
  ACKNOWLEDGEMENT_OUT_OF_ORDER: {
    what: 'Vouchers of a lane count up job by job, and an earlier one is missing.',
    charged: nothing,
    fix: 'Send the earlier ones first. The SDK does this by itself; `lilypad jobs resume` repeats it.',
  },
  STATE_CONFLICT: {
    what: 'What was asked does not fit the state things are in: a job cannot make this step, a local network already runs on the folder, or two reservations contradict each other.',
    charged: nothing,
    fix: 'Read `details`. For a job, read its state; for a folder, stop the other process or name another folder.',
  },
  GUARDIAN_MISMATCH: {
    what: 'The payer has named another solver as the guardian of its account, or is about to: without the consent of a guardian no job of the account can be paid at once.',
    charged: nothing,
    fix: 'Order through the guardian, which `lilypad wallet show` names, or change it with `lilypad wallet guardian` and wait for the delay.',
  },
  SETTLEMENT_REFUSED: {
    what: 'A provider asked a solver to approve a settlement, and the solver does not answer for every lane in it. `details` names the lanes with the reasons.',
    charged: nothing,
    fix: 'Ask again without these lanes. A provider does this by itself.',
  },
  QUOTE_EXPIRED: {
    what: 'The quote is too old to order from. Quotes live for minutes.',
    charged: nothingSigned,
    fix: 'Ask for a new quote.',
  },
  ORDER_EXPIRED: {
    what: 'The order, or the ask it names, came after its time.',
    charged: nothing,
    fix: 'Ask for a new quote. If it was just made, check the clock of the machine.',
  },
  MODULE_DEPRECATED: {
    what: 'The author has withdrawn this version of the module. Jobs that were ordered before are still paid.',
    charged: nothing,
    fix: 'Use a newer version.',
  },
  PAYLOAD_TOO_LARGE: {
    what: 'A file or answer is larger than allowed.',
    charged: nothing,
    fix: 'Send less; the limits are in the manifest of the module.',
  },
  VERIFICATION_FAILED: {
    what: 'A listing, quote or delivery does not hold: a signature, a digest, the price or a time. The failed checks are in `details`.',
    charged: 'Nothing. A delivery that does not verify is not acknowledged, so it is not paid.',
    fix: 'Do not rely on the result. Order again from another provider, or use another solver.',
  },
  STREAM_BROKEN: {
    what: 'What a running job sent does not follow from what came before it, or does not end in what its receipt commits to: a chunk was left out, doubled, moved or altered on its way.',
    charged: 'Nothing by this call. A delivery whose stream was seen broken is not acknowledged and not paid.',
    fix: 'Do not use what came over the stream. Read the job: its files are checked by themselves. Another solver may relay faithfully.',
  },
  JOB_FAILED: {
    what: 'The program ended with an error, passed a limit, or left outputs that were refused. The provider signed that it did.',
    charged: 'Nothing. A receipt whose status is not "succeeded" has the price 0.',
    fix: 'Read the logs of the job, correct the inputs, and order again.',
  },
  JOB_DECLINED: {
    what: 'The provider checked the order and refused it. Its reason is quoted; it is the word of another party.',
    charged: 'Nothing. The reservation is released.',
    fix: 'Ask for a new quote.',
  },
  JOB_EXPIRED: {
    what: 'The job was not started or not delivered in time.',
    charged: 'Nothing. The reservation is released.',
    fix: 'Ask for a new quote.',
  },
  RATE_LIMITED: {
    what: 'Too many requests from one address, or too many open event streams.',
    charged: unknown,
    fix: 'Wait a second, then go on.',
  },
  NO_PROVIDER_AVAILABLE: {
    what: 'No connected provider offers this module now.',
    charged: nothing,
    fix: 'Try again in a few seconds (a module that was just published takes about five), or start a provider.',
  },
  UPSTREAM_FAILED: {
    what: 'The gateway got no answer of a model that it could use: the provider failed, or the answer was cut off, malformed, or did not verify. An answer that was cut off is never shown as whole.',
    charged:
      'Nothing, unless the answer was sent whole and verified before the connection broke: the usage of the account tells.',
    fix: 'Ask again. Another provider may answer.',
  },
  PROVIDER_GONE: {
    what: 'The provider of the quote is not connected any more.',
    charged: nothing,
    fix: 'Ask for a new quote.',
  },
  OUTPUT_UNAVAILABLE: {
    what: 'The relay or the store no longer keeps this file.',
    charged: unknown,
    fix: 'Ask the other party for it. The solver keeps files of jobs for seven days.',
  },
  EXECUTOR_UNAVAILABLE: {
    what: 'This machine cannot run the module: no container engine, no image, or not enough memory.',
    charged: nothing,
    fix: 'Read the reason in `details`. The module `tts` needs nothing but Node.',
  },
  RPC_UNREACHABLE: {
    what: 'The chain does not answer at the RPC endpoint of the network file.',
    charged: unknown,
    fix: 'Check the endpoint, then try again.',
  },
  PAID_SERVER_UNREACHABLE: {
    what: 'A paid server (`--paid-server`) does not answer, or what it answers is no MCP.',
    charged: 'Nothing. What was paid before is kept with the call.',
    fix: 'Try again: the same call never pays twice. If it stays, ask the owner to check the URL of the server.',
  },
  PAYMENT_REQUIRED: {
    what: 'The request came without a key to a gateway that takes payments by x402. The header `PAYMENT-REQUIRED` and the body name what it may cost and the ways to pay; `error` in the header says why a payment that came was not taken.',
    charged: 'Nothing.',
    fix: 'Repeat the request with a payment in `PAYMENT-SIGNATURE`, as clients of x402 do by themselves, or send a key of the gateway.',
  },
  PAYMENT_REFUSED: {
    what: 'A payment by x402 cannot be made or was not taken: the seller asks for another chain, token or scheme than this wallet pays with, it did not take the payment, or the buyer took its money away while the job ran. `details` says which.',
    charged:
      'Nothing, unless `charged` says `reserved`: then the seller still holds a signed payment, which counts against the limits until its time has passed.',
    fix: 'Buy from another seller, or in another way. As a seller: look at the log.',
  },
  PAYMENT_UNKNOWN: {
    what: 'A payment by x402 was signed and sent, and nobody has said what became of it.',
    charged: 'Unknown. It counts as spent until the chain says that it can no longer be collected.',
    fix: 'Make the same call again: it sends the same payment, which can be collected only once.',
  },
  SOLVER_UNREACHABLE: {
    what: 'The solver does not answer.',
    charged: unknown,
    fix: 'Try again: every call can be repeated and none can pay twice. `lilypad jobs resume` finishes what was cut off.',
  },
  STORAGE_FULL: {
    what: 'The relay has no room for more files now.',
    charged: unknown,
    fix: 'Try again later.',
  },
  TIMED_OUT: {
    what: 'Something is not finished in the time given: most often a job that goes on.',
    charged: 'Nothing yet. What the job may cost stays reserved until it ends.',
    fix: 'Wait for the same job again, by its id. Do not order a second one.',
  },
  CONFIG_INVALID: {
    what: 'A setting, key file, network file or build recipe is missing or not valid. A key is never part of the message.',
    charged: nothing,
    fix: 'Correct the settings named.',
  },
  CONTRACT_REVERTED: {
    what: 'A contract refused a transaction. The message names its error and the hint says what can be done; its `kind` in the SDK says the same in one word: `wait`, `tooLate`, `done`, `forbidden`, `signature`, `funds`, `limit`, `unknown`, `state`, `input`, `token` or `setup`.',
    charged: 'Nothing; not even gas, unless the message says that it was reverted in a block.',
    fix: "Follow the hint; the error's name and arguments are explained in contracts/src/interfaces.",
  },
  INTERNAL: {
    what: 'A fault of ours. Its cause is in the log of the process; over MCP only a reference to it is shown.',
    charged: unknown,
    fix: 'Report it with what the log says. With `LILYPAD_DEBUG=1` the command prints the cause.',
  },
}
