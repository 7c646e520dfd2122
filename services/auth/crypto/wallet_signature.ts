import type { ContractWallets } from "./contract_wallet.ts";
import { verifyPersonalSignature } from "./ethereum_signature.ts";
import { verifySolanaSignature } from "./solana_signature.ts";
import type { Wallet } from "./wallet.ts";

/** What is checked: that `wallet` signed `message`. */
export interface WalletClaim {
  readonly wallet: Pick<Wallet, "chain" | "canonical">;
  readonly message: string;
  readonly signature: string;
  /** The Ethereum chain on which to look for a wallet that is a contract; without it only keys are tried. */
  readonly chainId?: number;
}

/**
 * Whether a wallet of any kind made a signature. A contract is asked only after the key did not match, and only where a
 * node of its chain is configured.
 * @throws GatewayError `UNAVAILABLE` when only a node could tell and it cannot be asked
 */
export async function verifyWalletSignature(
  { wallet, message, signature, chainId }: WalletClaim,
  contracts?: ContractWallets,
  signal?: AbortSignal,
): Promise<boolean> {
  const claim = { wallet: wallet.canonical, message, signature };
  if (wallet.chain === "SOL") return verifySolanaSignature(claim);
  if (verifyPersonalSignature(claim)) return true;
  if (chainId === undefined || !contracts?.supports(chainId)) return false;
  return await contracts.verify({ ...claim, chainId }, signal);
}
