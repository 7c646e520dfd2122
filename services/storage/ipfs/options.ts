/** How to reach Kubo nodes and the peers of an IPFS Cluster. */
export interface IpfsDriverOptions {
  /** Addresses of the RPC of Kubo nodes, such as `http://10.0.0.1:5001`. */
  readonly kubo: readonly string[];
  /** Addresses of the REST API of peers of one IPFS Cluster, such as `http://10.0.0.1:9094`. None: every Kubo node keeps everything. */
  readonly cluster?: readonly string[] | undefined;
  readonly clusterUsername?: string | undefined;
  readonly clusterPassword?: string | undefined;
  /** Milliseconds that one question may take, or that a stream of bytes may stand still. Default 10,000. */
  readonly timeout?: number | undefined;
  /** Bytes of a file in one block. Default 262,144; more than 1,048,576 no Kubo takes. */
  readonly chunkSize?: number | undefined;
  /** Entries that a directory may have to be listed, and files to be added. Default 100,000. */
  readonly maxEntries?: number | undefined;
  /** Milliseconds after which a node that has no Cluster gives up to pin what it does not find. Default 600,000. */
  readonly pinTimeout?: number | undefined;
  /** Whether content may be asked for at addresses of private networks that a caller names. Default false. */
  readonly privateOrigins?: boolean | undefined;
  /** Milliseconds on a clock that never jumps. Default `performance.now`. */
  readonly now?: (() => number) | undefined;
}
