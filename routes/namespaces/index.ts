import { listAuditEvents } from "./audit.ts";
import { listMembers, removeMember, setMember } from "./members.ts";
import { createNamespace, deleteNamespace, getNamespace, listNamespaces } from "./namespaces.ts";

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
