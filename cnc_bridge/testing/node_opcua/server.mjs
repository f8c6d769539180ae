// A third-party OPC UA server (node-opcua) with a made-up lathe of MachineToolType behind it. No controller speaks here.
// For tests, benches and demos; 127.0.0.1 only. It prints {"listening": "opc.tcp://…"} when it is ready, and obeys
// JSON lines on its standard input (faults.mjs).
import "./quiet.mjs";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import opcua from "node-opcua";
import { obey } from "./faults.mjs";
import { Programmes } from "./files.mjs";
import { Machine } from "./machine.mjs";
import { addRobot } from "./robot.mjs";
import { Tags } from "./tags.mjs";

const { LogLevel, MessageSecurityMode, OPCUACertificateManager, OPCUAServer, SecurityPolicy, nodesets, setLogLevel } = opcua;
setLogLevel(LogLevel.Error); // the nodesets alone are worth hundreds of warnings

const { values: given } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    cycle: { type: "string", default: "6" }, // s
    between: { type: "string", default: "1" }, // s
    "ramp-ms": { type: "string", default: "300" }, // from full feed to standstill
    items: { type: "string", default: "0" }, // plain tags for load tests…
    rate: { type: "string", default: "10" }, // …and how often each changes, Hz
    omit: { type: "string", multiple: true, default: [] }, // a signal that this machine does not have
    "no-machine": { type: "boolean", default: false }, // plain tags only
    robot: { type: "boolean", default: false },
    second: { type: "boolean", default: false }, // another MachineToolType beside
    "max-per-call": { type: "string", default: "0" }, // operation limits; 0: none said
    pki: { type: "string" }, // default: made anew, gone at exit
    users: { type: "string" }, // a file of name:password lines; anonymous is refused then
    "reject-unknown-certificates": { type: "boolean", default: false },
    "only-secure": { type: "boolean", default: false },
    programmes: { type: "string" }, // a folder; default: made anew, gone at exit
  },
});

const made = [];
function folder(chosen) {
  if (chosen) {
    fs.mkdirSync(chosen, { recursive: true });
    return path.resolve(chosen);
  }
  made.push(fs.mkdtempSync(path.join(os.tmpdir(), "node-opcua-")));
  return made.at(-1);
}

async function store(root, name, trusting) {
  const manager = new OPCUACertificateManager({
    rootFolder: path.join(root, name),
    automaticallyAcceptUnknownCertificate: trusting,
  });
  await manager.initialize();
  return manager;
}

function users(file) {
  if (!file) return { userManager: undefined, allowAnonymous: true };
  const known = fs.readFileSync(file, "utf8").split("\n").filter(Boolean);
  return { userManager: { isValidUser: (name, word) => known.includes(`${name}:${word}`) }, allowAnonymous: false };
}

const pki = folder(given.pki);
const trusting = !given["reject-unknown-certificates"];
const limit = Number(given["max-per-call"]);
const limits = { maxNodesPerRead: limit, maxMonitoredItemsPerCall: limit, maxNodesPerBrowse: limit };
const modes = [MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt];
const policies = [SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes128_Sha256_RsaOaep, SecurityPolicy.Aes256_Sha256_RsaPss];
const models = ["standard", "di", "ia", "machinery", "isa95JobControl", "machineryJobs", "machineTool"];

const server = new OPCUAServer({
  port: Number(given.port),
  host: "127.0.0.1",
  hostname: "127.0.0.1",
  resourcePath: "/machine",
  ...users(given.users),
  serverCertificateManager: await store(pki, "server", trusting),
  userCertificateManager: await store(pki, "users", false),
  securityModes: given["only-secure"] ? modes : [MessageSecurityMode.None, ...modes],
  securityPolicies: given["only-secure"] ? policies : [SecurityPolicy.None, ...policies],
  serverInfo: { applicationName: { text: "node-opcua machine (not a controller)" } },
  serverCapabilities: limit ? { operationLimits: limits } : {},
  maxConnectionsPerEndpoint: 50,
  nodeset_filename: [...models, ...(given.robot ? ["robotics"] : [])].map((name) => nodesets[name]),
});
await server.initialize();

const space = server.engine.addressSpace;
space.installAlarmsAndConditionsService();
const namespace = space.registerNamespace("urn:copeau:node-opcua-machine");
let machine = null;
if (!given["no-machine"]) {
  machine = new Machine(space, namespace, { ...given, omit: new Set(given.omit) });
  new Programmes(space, namespace, folder(given.programmes)).install(machine.workMasters);
  if (given.second) machine.addSecond();
  machine.run();
}
if (given.robot) addRobot(space, namespace);
const tags = new Tags(namespace, space, Number(given.items), Number(given.rate));

process.on("exit", () => made.forEach((each) => fs.rmSync(each, { recursive: true, force: true })));
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));

await server.start();
const port = server.endpoints[0].port;
process.stdout.write(`${JSON.stringify({ listening: `opc.tcp://127.0.0.1:${port}/machine`, pki })}\n`);
tags.run();
obey(process.stdin, { server, machine });
