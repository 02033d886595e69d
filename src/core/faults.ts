/**
 * The faults that pass: what is worth trying again, by SQLSTATE or errno, and why.
 *
 * Rule: what is not listed is permanent. Nothing about a row, a right, a name or a syntax is here: it would fail alike.
 *       https://www.postgresql.org/docs/current/errcodes-appendix.html
 */

/**
 * What is known after a fault: nothing, since the connection is gone (`lost`); that nobody has let us in (`unreachable`);
 * that the transaction was rolled back (`undone`).
 */
export type FaultKind = 'lost' | 'unreachable' | 'undone'

export interface Fault {
  readonly kind: FaultKind
  readonly reason: string
}

export const FAULTS: ReadonlyMap<string, Fault> = new Map(
  (
    [
      ['ECONNRESET', 'lost', 'the server, or something between, has cut the connection'],
      ['EPIPE', 'lost', 'the server has closed the connection while we wrote'],
      ['ETIMEDOUT', 'lost', 'what we sent was not acknowledged'],
      ['ECONNABORTED', 'lost', 'this machine has given the connection up'],
      ['ENETRESET', 'lost', 'keepalive has found the network reset'],
      ['EHOSTUNREACH', 'lost', 'no route to the host at the moment'],
      ['EHOSTDOWN', 'lost', 'the host does not answer at the moment'],
      ['ENETUNREACH', 'lost', 'no route to the network at the moment'],
      ['ENETDOWN', 'lost', 'the network interface is down at the moment'],
      ['ERR_STREAM_DESTROYED', 'lost', 'the connection was closed while we wrote'],
      ['ERR_STREAM_WRITE_AFTER_END', 'lost', 'the connection was ended while we wrote'],
      ['08000', 'lost', 'connection exception'],
      ['08003', 'lost', 'a pooler has lost its connection to the server'],
      ['08006', 'lost', 'connection failure'],
      ['08007', 'lost', 'whether the transaction was committed is unknown: its claim tells'],
      ['25P03', 'lost', 'the server ends transactions that idle, as while a lane waits for input'],
      ['57P01', 'lost', 'the server shuts down, or an administrator has ended the connection'],
      ['57P02', 'lost', 'another process of the server has crashed: it starts anew'],
      ['57P05', 'lost', 'the server ends connections that idle'],
      ['ECONNREFUSED', 'unreachable', 'nobody listens there yet: the server may be starting'],
      ['ENOTFOUND', 'unreachable', 'the name is not known: it may be about to be'],
      ['EAI_AGAIN', 'unreachable', 'the name server does not answer'],
      ['ENOENT', 'unreachable', 'there is no such socket yet: the server may be starting'],
      ['EADDRNOTAVAIL', 'unreachable', 'this machine has no free port at the moment'],
      ['08001', 'unreachable', 'a pooler cannot reach its server'],
      ['08004', 'unreachable', 'a pooler takes no more connections at the moment'],
      ['53300', 'unreachable', 'the server has too many connections at the moment'],
      ['57P03', 'unreachable', 'the server is starting, recovering or shutting down'],
      ['25006', 'undone', 'the server is a standby, which may be about to be promoted'],
      ['40001', 'undone', 'the transaction was in the way of another: serialization failure'],
      ['40P01', 'undone', 'the transaction was in the way of another: deadlock'],
      ['53000', 'undone', 'the server is short of resources at the moment'],
      ['53100', 'undone', "the server's disk is full: space may be made"],
      ['53200', 'undone', 'the server is out of memory at the moment'],
      ['55P03', 'undone', 'a lock was not to be had in time'],
      ['57014', 'undone', 'the statement was cancelled, or took longer than the server allows'],
      ['58030', 'undone', "the server's storage has failed: network storage may come back"],
    ] as const
  ).map(([code, kind, reason]) => [code, { kind, reason }]),
)
