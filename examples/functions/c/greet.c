/* Greets whoever is named in {"name": …}, and says how many were greeted before. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST(name) __attribute__((import_module("env"), import_name(#name)))

HOST(cache_incr) int64_t cache_incr(const char *key, size_t length);
HOST(log_info) void log_info(const char *text, size_t length);

/* The gateway asks for memory here, for what its host functions return. */
__attribute__((export_name("orama_alloc"))) void *orama_alloc(size_t size) { return malloc(size); }

/* The text of the member "name", as it stands in the JSON: what was escaped stays escaped. */
static int name_in(char *json, char **name) {
  char *at = strstr(json, "\"name\"");
  if (at == NULL || (at = strchr(at + 6, ':')) == NULL || (at = strchr(at, '"')) == NULL) return 0;
  *name = ++at;
  for (; *at != '"'; at++) {
    if (*at == '\\' && at[1] != '\0') at++;
    if (*at == '\0') return 0;
  }
  *at = '\0';
  return 1;
}

int main(void) {
  static char input[65536];
  input[fread(input, 1, sizeof input - 1, stdin)] = '\0';
  char *name;
  if (!name_in(input, &name)) {
    fputs("the input must be JSON, such as {\"name\": \"Ada\"}\n", stderr);
    return 1;
  }
  log_info("greeting", 8);
  printf("{\"greeting\":\"Hello, %s!\",\"count\":%" PRId64 "}", name, cache_incr("c", 1));
  return 0;
}
