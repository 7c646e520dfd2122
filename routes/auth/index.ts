import { apiKey } from "./api_key.ts";
import { challenge } from "./challenge.ts";
import { jwksRoutes } from "./jwks.ts";
import { createKey, listKeys, revokeKey, rotateKey } from "./keys.ts";
import { loginRoutes } from "./login.ts";
import { loginCode, loginToken } from "./login_code.ts";
import { logout } from "./logout.ts";
import { refresh } from "./refresh.ts";
import { register } from "./register.ts";
import { listSessions, revokeSession } from "./sessions.ts";
import { simpleKey } from "./simple_key.ts";
import { token } from "./token.ts";
import { topicToken } from "./topic_token.ts";
import { verify } from "./verify.ts";
import { whoami } from "./whoami.ts";

/** Sign-in, tokens, sessions, keys and the login page. */
export const authRoutes = [
  challenge,
  verify,
  apiKey,
  simpleKey,
  register,
  token,
  refresh,
  logout,
  whoami,
  ...loginRoutes,
  loginCode,
  loginToken,
  ...jwksRoutes,
  listSessions,
  revokeSession,
  createKey,
  listKeys,
  revokeKey,
  rotateKey,
  topicToken,
];
