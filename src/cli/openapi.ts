import { Command } from "commander";
import { out } from "./output.ts";

/** `openapi`: the API's description, as `/openapi.json` gives it. */
export const openApiCommand = (): Command =>
  new Command("openapi")
    .description("Print the OpenAPI 3.1 document of the API.")
    .action(async () => {
      const [{ openApiDocument }, { routes }, { BUILD }] = await Promise.all([
        import("../http/openapi.ts"),
        import("../../routes/index.ts"),
        import("../build.ts"),
      ]);
      out(JSON.stringify(openApiDocument(routes, BUILD.version), undefined, 2));
    });
