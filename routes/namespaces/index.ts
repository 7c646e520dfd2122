import { listAuditEvents } from "./audit.ts";
import { changeLimits, getLimits, replaceLimits } from "./limits.ts";
import { listMembers, removeMember, setMember } from "./members.ts";
import { createNamespace, deleteNamespace, getNamespace, listNamespaces } from "./namespaces.ts";
import { changeSettings, getSettings } from "./settings.ts";

/** Namespaces, their members, settings and limits, and their audit log. */
export const namespaceRoutes = [
  createNamespace,
  listNamespaces,
  getNamespace,
  deleteNamespace,
  listMembers,
  setMember,
  removeMember,
  getSettings,
  changeSettings,
  getLimits,
  changeLimits,
  replaceLimits,
  listAuditEvents,
];
