/** Shows the gateway's own description of its API. */
globalThis.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  // Never asks a service elsewhere what it thinks of the document.
  validatorUrl: null,
});
