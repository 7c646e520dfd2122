export { type Config, type ConfigInput, loadConfig, type Loaded } from "./load.ts";
export { type Origin, originText } from "./origin.ts";
export { printConfig } from "./print.ts";
export { ConfigError, type ConfigProblem } from "./problems.ts";
export { readTextFile } from "./read_text_file.ts";
export { reference } from "./reference.ts";
export type { NameServerAddress } from "./kinds/name_server.ts";
export type { SocksProxyAddress } from "./kinds/socks_proxy.ts";
export { formatListenAddress, type ListenAddress } from "./kinds/listen_address.ts";
