import type { Route } from "../../src/http/route.ts";
import { listDeliveries, redeliver, testWebhook } from "./deliveries.ts";
import { changeWebhook, createWebhook, deleteWebhook, getWebhook, listWebhooks, rotateWebhook } from "./endpoints.ts";

/** Addresses that are told of events of their namespace, and what was sent to them. */
export const webhookRoutes: readonly Route[] = [
  listWebhooks,
  createWebhook,
  getWebhook,
  changeWebhook,
  deleteWebhook,
  rotateWebhook,
  testWebhook,
  listDeliveries,
  redeliver,
];
