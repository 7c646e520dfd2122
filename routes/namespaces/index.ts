import { listAuditEvents } from "./audit.ts";
import { listMembers, removeMember, setMember } from "./members.ts";
import { createNamespace, deleteNamespace, getNamespace, listNamespaces } from "./namespaces.ts";

/** Namespaces, their members and their audit log. */
export const namespaceRoutes = [
  createNamespace,
  listNamespaces,
  getNamespace,
  deleteNamespace,
  listMembers,
  setMember,
  removeMember,
  listAuditEvents,
];
