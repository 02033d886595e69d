import { readyBinaries } from './binaries.ts'
import { makeCluster } from './cluster.ts'
import { embeddedError } from './failure.ts'
import { chooseIdentity } from './identity.ts'
import { checkVersion, database, findPlace, makeStateDir, superuser } from './place.ts'
import type { Logger } from '../core/log.ts'
import type { Binaries } from './binaries.ts'
import type { Place } from './place.ts'

/** Where an embedded server is, and where its parts come from. */
export interface EmbeddedPlace {
  /** The state directory, an absolute path. */
  readonly stateDir: string
  /** Where root's servers live when their user cannot enter the state directory; default /var/lib/millrace. */
  readonly rootDir?: string | undefined
  /** The directory with `bin`, `lib` and `share` of PostgreSQL; default that of the installed platform package. */
  readonly nativeDir?: string | undefined
}

/** A cluster, and the programs to run it with. */
export interface Ready {
  readonly place: Place
  readonly binaries: Binaries
}

/** Finds the cluster of a state directory, making it when there is none, and the programs that run it. */
export async function prepare(where: EmbeddedPlace, log: Logger): Promise<Ready> {
  const { stateDir, nativeDir, rootDir = '/var/lib/millrace' } = where
  const found = await findPlace(stateDir)
  const as = found?.as ?? (await chooseIdentity())
  if (found === undefined) await makeStateDir(stateDir, as)
  const stageIn = as.uid === undefined ? stateDir : rootDir
  const binaries = await readyBinaries({ as, stageIn, nativeDir })
  if (found === undefined) await makeCluster({ stateDir, rootDir, binaries, as, log })
  const place = found ?? (await findPlace(stateDir))
  if (place === undefined) throw embeddedError(`the data of ${stateDir} was removed just now`)
  await checkVersion(place, binaries.major)
  return { place, binaries }
}

/** The address of a running server, password included. It does not encrypt, whatever PGSSLMODE asks of other servers. */
export function addressOf(place: Place, port: number, name = database): string {
  return `postgres://${superuser}:${place.password}@127.0.0.1:${port}/${name}?sslmode=disable`
}
