import { testShellExamples } from "../support/shell_examples.ts";
import { anyGatewaySuite } from "../support/suite.ts";

testShellExamples(anyGatewaySuite(), "pinning.md");
