// Has names under millrace.test mean this machine, in this process or, with --import, in one that is started: so there is
// a server that is not called localhost. https://www.rfc-editor.org/rfc/rfc6761#section-6.2
import dns from 'node:dns'

const { lookup } = dns

/** @param {string} name @param {...any} rest */
function lookUpHere(name, ...rest) {
  // @ts-expect-error it passes on whatever it is given
  return lookup(name.endsWith('.millrace.test') ? '127.0.0.1' : name, ...rest)
}

dns.lookup = Object.assign(lookUpHere, lookup)
