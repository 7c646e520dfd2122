import { z } from "zod";
import { fillIn, fixedText, lazily, pageHeaders, pagePart, revalidated } from "../../src/http/assets.ts";
import { defineRoute } from "../../src/http/route.ts";

// Swagger UI is 2 MB of text: nothing of it is read before somebody opens the page.
const parts = {
  "swagger-ui.js": pagePart(
    "/docs/swagger-ui.js",
    async () => (await import("swagger-ui-dist/swagger-ui-bundle.js", { with: { type: "text" } })).default,
  ),
  "swagger-ui.css": pagePart(
    "/docs/swagger-ui.css",
    async () => (await import("swagger-ui-dist/swagger-ui.css", { with: { type: "text" } })).default,
  ),
  "page.js": pagePart(
    "/docs/page.js",
    async () => (await import("./docs_page/page.js", { with: { type: "text" } })).default,
  ),
  "page.css": pagePart(
    "/docs/page.css",
    async () => (await import("./docs_page/page.css", { with: { type: "text" } })).default,
  ),
  "licenses.txt": pagePart("/docs/licenses.txt", licenses),
};

/** What has to go wherever Swagger UI goes (Apache License 2.0, section 4): to browsers, and into a gateway that is one file. */
async function licenses(): Promise<string> {
  const { default: notice } = await import("swagger-ui-dist/NOTICE", { with: { type: "text" } });
  const { default: license } = await import("swagger-ui-dist/LICENSE", { with: { type: "text" } });
  const { default: within } = await import("swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt", {
    with: { type: "text" },
  });
  const title = "The parts of this gateway's reference page that are Swagger UI come under these terms.";
  return [title, notice, license, "Swagger UI contains:", within].map((text) => text.trim()).join("\n\n") + "\n";
}

const page = lazily(async () => {
  const { default: html } = await import("./docs_page/page.html", { with: { type: "text" } });
  const references = Object.entries(parts).map(async ([name, part]) => [name, await part.reference()] as const);
  return fixedText(fillIn(html, Object.fromEntries(await Promise.all(references))));
});

const docs = defineRoute({
  method: "GET",
  path: "/docs",
  summary: "Show this reference",
  description: "A page that needs nothing from elsewhere, in which operations can be tried.",
  tag: "Pages",
  access: { kind: "public" },
  output: z.string(),
  produces: "text/html",
  revalidates: true,
  async handle(call) {
    const policy = "script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'";
    return revalidated(call, await page(), { ...pageHeaders(policy), "cache-control": "no-cache" });
  },
});

/** The reference page and its parts. */
export const docsRoutes = [docs, ...Object.values(parts).map(({ route }) => route)];
