// A packing line on node-opcua, for the tests: an OPC UA server that shares no code with ours.
// usage: node server.js PORT [USER_CERTIFICATE]. With a certificate (DER) nobody is let in but the user who shows it.
// Commands on stdin, one JSON object a line: {"write": {"Kind": 1, "Lu": "T-1", "Counter": 1}} writes in that order;
// {"event": {"Carton": "T-1", "Result": "OK"}}. Each is answered with one line: done.
"use strict";
const fs = require("node:fs");
const readline = require("node:readline");
const { OPCUAServer, DataType, Variant, SecurityPolicy, MessageSecurityMode, coerceLocalizedText } = require("node-opcua");

const NAMESPACE = "urn:test:packing";
const TYPES = { Counter: DataType.UInt16, Kind: DataType.Int16, Lu: DataType.String };
const INITIAL = { Counter: 0, Kind: 0, Lu: "" };

async function main(port, userCertificate) {
  const server = new OPCUAServer({
    port,
    hostname: "127.0.0.1",
    resourcePath: "/",
    allowAnonymous: userCertificate === undefined,
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.SignAndEncrypt],
    serverCertificateManager: undefined,
  });
  await server.initialize();
  server.serverCertificateManager.automaticallyAcceptUnknownCertificate = true;
  if (userCertificate !== undefined) {
    server.userCertificateManager.automaticallyAcceptUnknownCertificate = false;
    await server.userCertificateManager.trustCertificate(fs.readFileSync(userCertificate));
  }
  const space = server.engine.addressSpace;
  const own = space.registerNamespace(NAMESPACE);
  const line = own.addObject({ organizedBy: space.rootFolder.objects, browseName: "Line1" });
  const machine = own.addObject({ componentOf: line, browseName: "PK01", nodeId: "s=PK01", eventNotifier: 1 });
  const variables = {};
  for (const [name, dataType] of Object.entries(TYPES)) {
    variables[name] = own.addVariable({
      componentOf: machine,
      browseName: name,
      nodeId: `s=PK01.${name}`,
      dataType,
      minimumSamplingInterval: 0,
    });
    variables[name].setValueFromSource(new Variant({ dataType, value: INITIAL[name] }));
  }
  const labelType = own.addEventType({ browseName: "LabelEventType", subtypeOf: "BaseEventType" });
  for (const name of ["Carton", "Result"]) {
    own.addVariable({ propertyOf: labelType, browseName: name, dataType: DataType.String, modellingRule: "Mandatory" });
  }
  await server.start();

  const commands = {
    write(values) {
      for (const [name, value] of Object.entries(values)) {
        variables[name].setValueFromSource(new Variant({ dataType: TYPES[name], value }));
      }
    },
    event(fields) {
      const values = Object.entries(fields).map(([name, value]) => [
        name[0].toLowerCase() + name.slice(1),
        { dataType: DataType.String, value },
      ]);
      server.engine.addressSpace.rootFolder.objects.server.raiseEvent(labelType, {
        message: { dataType: DataType.LocalizedText, value: coerceLocalizedText("label") },
        severity: { dataType: DataType.UInt16, value: 100 },
        ...Object.fromEntries(values),
      });
    },
  };
  readline.createInterface({ input: process.stdin }).on("line", (text) => {
    for (const [command, argument] of Object.entries(JSON.parse(text))) commands[command](argument);
    console.log("done");
  });
  process.stdin.on("end", () => process.exit(0));
  console.log("ready");
}

main(Number(process.argv[2]), process.argv[3]).catch((error) => {
  console.error(error);
  process.exit(1);
});
