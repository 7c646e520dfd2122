import type { Reply } from "./replies.ts";
import { listOf, MemberFailure, textOf } from "./replies.ts";

/** 64 bits of xxHash (XXH64 with seed 0) of bytes. */
export type Hash = (bytes: Uint8Array) => bigint;

/** Members that have a partition: former owners whose keys are on their way, and last the one to whom writes go. */
export type Owners = readonly string[];

const utf8 = new TextEncoder();

/** Who is a member, and who has which partition: what one member said of both at one time. */
export class Routing {
  private constructor(
    /** Addresses of all members. */
    readonly members: readonly string[],
    private readonly owners: readonly Owners[],
    private readonly replicas: readonly (readonly string[])[],
    private readonly hash: Hash,
  ) {}

  /** @throws GatewayError `UNAVAILABLE`, MemberFailure for replies to {@link MEMBERS} and {@link ROUTING_TABLE} that make no sense */
  static of(members: Reply | undefined, table: Reply | undefined, hash: Hash): Routing {
    const addresses = listOf(members).map((member) => textOf(listOf(member)[0]));
    const owners: Owners[] = [], replicas: string[][] = [];
    for (const row of listOf(table)) {
      const [partition, having, copying] = listOf(row);
      if (textOf(partition) !== String(owners.length)) throw new MemberFailure("a routing table with gaps");
      owners.push(listOf(having).map(textOf));
      replicas.push(listOf(copying).map(textOf));
      if (owners.at(-1)!.length === 0) throw new MemberFailure("a partition that nobody has");
    }
    if (addresses.length === 0 || owners.length === 0) throw new MemberFailure("a routing table without members");
    return new Routing(addresses, owners, replicas, hash);
  }

  /** Whether there is one member, which has everything. */
  get isAlone(): boolean {
    return this.members.length === 1;
  }

  /** How many partitions the keys of every map are divided into. */
  get partitions(): number {
    return this.owners.length;
  }

  /** @param partition below {@link partitions} */
  ownersOf(partition: number): Owners {
    return this.owners[partition]!;
  }

  /** Where a key is. The engine sums map and key without anything between them. */
  partitionOf(map: string, key: string): number {
    return Number(this.hash(utf8.encode(map + key)) % BigInt(this.owners.length));
  }

  /** The member that a partition belongs to. */
  ownerOf(partition: number): string {
    return this.ownersOf(partition).at(-1)!;
  }

  /** Partitions that belong to somebody else by a newer table, each with the former owner. */
  movedIn(newer: Routing): ReadonlyMap<number, string> {
    const moved = new Map<number, string>();
    for (let partition = 0; partition < Math.min(this.partitions, newer.partitions); partition++) {
      const former = this.ownerOf(partition);
      if (newer.ownerOf(partition) !== former) moved.set(partition, former);
    }
    return moved;
  }

  /** Members that are asked whenever something of a partition is read or written. */
  involvedIn(partition: number): readonly string[] {
    return [...this.owners[partition]!, ...this.replicas[partition]!];
  }

  /** Changes whenever others have a partition. */
  fingerprintOf(partition: number): string {
    return this.hash(utf8.encode(this.ownersOf(partition).join())).toString(36);
  }
}
