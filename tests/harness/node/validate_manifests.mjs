// Validates Kubernetes manifests, as a JSON array on standard input, against the schemas of their kinds.
import { readFileSync } from "node:fs";

async function classOf({ apiVersion, kind }) {
  const operator = apiVersion.startsWith("monitoring.coreos.com/");
  const models = operator ? "@kubernetes-models/prometheus-operator" : "kubernetes-models";
  return (await import(`${models}/${apiVersion}`))[kind];
}

for (const manifest of JSON.parse(readFileSync(0, "utf8"))) {
  const name = `${manifest.kind} ${manifest.metadata.name}`;
  try {
    const Kind = await classOf(manifest);
    new Kind(manifest).validate();
    console.log(`valid: ${name}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`invalid: ${name}: ${error.message}`);
  }
}
